"""One open connection: what its user wants to watch, what they may see, and what they have to be told next."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from ..conf import settings
from ..engine.errors import LimitExceeded
from ..permissions import current_permissions
from .messages import Message, Problem, Signal
from .subscriptions import Subscription, Wish
from .tail import Tail
from .viewers import Grants, Viewer, grants_of, in_database_thread

NOBODY = Grants(view=False, inspect=False, payload=False)


class Listener:
    """Subscribes for a user, and says what to send: `await listener.next()` over and over, until `close()`.

    To be used on one event loop.
    """

    def __init__(self, viewer: Viewer, *, using: str | None = None) -> None:
        self._viewer = viewer
        self._tail = Tail.of(using)
        self._loop = asyncio.get_running_loop()
        self._subscriptions: dict[str, Subscription] = {}
        self._stirred: dict[Subscription, None] = {}
        self._bell = asyncio.Event()
        self._asked_at = self._told_at = self._loop.time()

    @property
    def watched(self) -> Collection[str]:
        """The ids of the instances that are watched."""
        return self._subscriptions.keys()

    def subscribe(self, wish: Wish) -> None:
        """Watch an instance; a wish for one that is watched takes the place of the earlier wish.

        Raises: LimitExceeded: too many at once.
        """
        limit = settings.LIVE_MAX_SUBSCRIPTIONS
        if wish.instance_id not in self._subscriptions and len(self._subscriptions) >= limit:
            raise LimitExceeded("The number of instances watched by one connection", limit + 1, limit)
        self.unsubscribe(wish.instance_id)
        subscription = Subscription(wish, self._stir)
        self._subscriptions[wish.instance_id] = subscription
        self._tail.add(subscription)

    def unsubscribe(self, instance_id: str) -> bool:
        """Watch an instance no more. Returns: whether it was watched."""
        subscription = self._subscriptions.pop(instance_id, None)
        if subscription is None:
            return False
        self._stirred.pop(subscription, None)
        self._tail.remove(subscription)
        return True

    def close(self) -> None:
        """Watch nothing more; a second time does nothing."""
        for instance_id in list(self._subscriptions):
            self.unsubscribe(instance_id)

    async def next(self) -> list[Message]:
        """Wait for what has to be told, and return it in order; a heartbeat when nothing was for long enough.

        An instance is watched no more after `done`, `gone`, or a problem that names it.
        Raises: whatever ended the tail, which is a bug; the database's failures are waited out.
        """
        while True:
            await self._wait()
            if self._tail.failure is not None:
                raise self._tail.failure
            told = [*await self._check(), *self._take()]
            if not told and self._loop.time() >= self._told_at + settings.LIVE_HEARTBEAT.total_seconds():
                told = [Signal(type="heartbeat")]
            if told:
                self._told_at = self._loop.time()
                return told

    def _stir(self, subscription: Subscription) -> None:
        self._stirred[subscription] = None
        self._bell.set()

    async def _wait(self) -> None:
        until = self._told_at + settings.LIVE_HEARTBEAT.total_seconds()
        if self._subscriptions:
            until = min(until, self._asked_at + settings.LIVE_RECHECK.total_seconds())
        timer = self._loop.call_at(until, self._bell.set)
        try:
            await self._bell.wait()
        finally:
            timer.cancel()
        self._bell.clear()

    def _take(self) -> list[Message]:
        """Return what the stirred subscriptions have to tell; those that have told everything are ended."""
        told: list[Message] = []
        stirred, self._stirred = self._stirred, {}
        for subscription in stirred:
            if subscription.grants is None:  # It came while the rules were asked.
                self._stir(subscription)
                continue
            told += subscription.take()
            if subscription.ended:
                self.unsubscribe(subscription.instance_id)
            else:
                self._tail.read_on(subscription)
        return told

    # Rights.

    async def _check(self) -> list[Message]:
        """Ask the rules about what is new, or about everything when that is due; end what they refuse."""
        due = self._loop.time() >= self._asked_at + settings.LIVE_RECHECK.total_seconds()
        asked = [
            each
            for each in (self._subscriptions.values() if due else self._stirred)
            if (each.record or each.missing) and (due or each.grants is None)
        ]
        if due:
            self._asked_at = self._loop.time()
        if not asked:
            return []

        def ask() -> tuple[bool, list[Grants]]:
            user, rules = self._viewer.user(), current_permissions()
            known = bool(getattr(user, "is_authenticated", False))
            return known, [
                NOBODY if each.record is None else grants_of(rules, user, each.record, each.wish.streams)
                for each in asked
            ]

        known, granted = await in_database_thread(ask)
        problems: list[Message] = []
        for subscription, grants in zip(asked, granted, strict=True):
            if self._subscriptions.get(subscription.instance_id) is not subscription:
                continue  # Unsubscribed meanwhile.
            code = _refusal(subscription, grants, known)
            if code is None:
                subscription.grants = grants
            else:
                problems.append(_problem(code, subscription.instance_id))
                self.unsubscribe(subscription.instance_id)
        return problems


REFUSALS = {
    "not_authenticated": "Nobody is logged in, or no longer. Log in, and connect again.",
    "not_found": "There is no such instance, or none that you may see.",
    "permission_denied": "You may not see this, or no longer.",
}


def _refusal(subscription: Subscription, grants: Grants, known: bool) -> str | None:
    """Return why a user may not watch an instance, None where they may.

    Whoever may not see an instance is not told whether there is one; whoever saw it and no longer may, is.
    """
    wish, told = subscription.wish, subscription.grants is not None
    if subscription.missing and told:
        return None
    if not grants.view:
        return "not_authenticated" if not known else "permission_denied" if told else "not_found"
    if (wish.history and not grants.inspect) or (wish.kv and not grants.payload):
        return "permission_denied"
    if wish.streams.keys() - grants.streams:
        return "permission_denied"
    return None


def _problem(code: str, instance_id: str) -> Problem:
    return Problem(code=code, detail=REFUSALS[code], instance_id=instance_id)
