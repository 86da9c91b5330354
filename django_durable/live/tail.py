"""The tail: one reader of the database for everybody in this process who watches.

Theory of operation.

1. It runs while there are subscriptions, as a task of the event loop that they are on. A round asks one query for what
   changed of all instances that are watched, or of those that hints named; one more where somebody wants events that
   were not read, one where somebody wants entries, and one where somebody follows streams of these instances. What is
   not asked for costs nothing.
2. Between rounds it rests until a hint comes, and for `HINTED_PAUSE` at most, because a hint may be lost and changes
   that nobody but readers of histories can see have none. Where no hints can come it polls, less often the longer
   nothing changes. `SHORTEST_PAUSE` lies between two rounds at least; whatever changes meanwhile is told as one change.
3. A subscription is given what a round has read that began after the subscription did, so nothing that happened before
   it is missed.
4. When the database fails, it goes on until it answers: the subscriptions stay, and are told what they missed.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import ClassVar
from weakref import WeakKeyDictionary

from .. import redaction
from ..conf import settings
from ..engine.events import Payload
from ..engine.states import TERMINAL
from ..store import changes, connections, streamreads
from ..store.changes import EventRecord, Place, Seen
from ..store.queries import StatusRecord
from ..store.streamreads import Cursor, Run
from ..store.wakeups import ANYTHING, CHANGES, Hint, Hub, Subscription as HintSubscription
from .streams import Followed
from .subscriptions import Subscription
from .viewers import in_database_thread

logger = logging.getLogger(__name__)

SHORTEST_PAUSE = 0.05
FIRST_PAUSE, GROWTH, LONGEST_PAUSE = 0.1, 1.5, 0.5
HINTED_PAUSE = 1.0
BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
INSTANCES_AT_ONCE = 1_000
EVENTS_AT_ONCE, PAYLOADS_AT_ONCE = 1_000, 100
ITEMS_AT_ONCE = 100


class _Watched:
    """One instance, and who watches it. `seen` is how the subscriptions know it."""

    def __init__(self, instance_id: str) -> None:
        self.seen = Seen(instance_id, 0, 0)
        self.subscriptions: dict[Subscription, None] = {}


class Tail:
    """Reads one database for the subscriptions of one event loop. `Tail.of(using)` gives it."""

    _tails: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Tail]]] = WeakKeyDictionary()

    def __init__(self, using: str) -> None:
        self.failure: BaseException | None = None
        self._using = using
        self._loop = asyncio.get_running_loop()
        self._bell = asyncio.Event()
        self._watched: dict[str, _Watched] = {}
        self._ids: dict[int, str] = {}
        self._new: dict[str, list[Subscription]] = {}
        self._reading: dict[Subscription, None] = {}
        self._everything = False
        self._named: set[int] = set()
        self._task: asyncio.Task[None] | None = None
        self._hints: HintSubscription | None = None

    @classmethod
    def of(cls, using: str | None = None) -> Tail:
        """Return the tail of a database for the running event loop."""
        tails = cls._tails.setdefault(asyncio.get_running_loop(), {})
        name = using or settings.DATABASE
        if name not in tails or tails[name].failure is not None:
            tails[name] = cls(name)
        return tails[name]

    # The subscriptions' side.

    def add(self, subscription: Subscription) -> None:
        """Read for a subscription from now on; the first one starts the tail."""
        watched = self._watched.setdefault(subscription.instance_id, _Watched(subscription.instance_id))
        watched.subscriptions[subscription] = None
        self._new.setdefault(subscription.instance_id, []).append(subscription)
        if self._task is None:
            self._hints = Hub.of(self._using, CHANGES).subscribe(partial(_pass_on, self._loop, self._hear))
            # In a context of its own: that of the first subscriber is bound to the thread of its request.
            self._task = self._loop.create_task(self._run(), context=contextvars.Context())
            self._task.add_done_callback(self._ended)
        self._bell.set()

    def remove(self, subscription: Subscription) -> None:
        """Read for it no more; the last one ends the tail."""
        watched = self._watched.get(subscription.instance_id)
        if watched is None or watched.subscriptions.pop(subscription, self) is self:
            return
        self._reading.pop(subscription, None)
        if not watched.subscriptions:
            del self._watched[subscription.instance_id]
            self._ids.pop(watched.seen.id, None)
        if not self._watched:
            self._end()

    def read_on(self, subscription: Subscription) -> None:
        """Read what a subscription wants besides the status and does not have, once it was granted."""
        if subscription.grants is not None and subscription.lacking:
            self._reading[subscription] = None
            self._bell.set()

    def _end(self) -> None:
        if self._hints is not None:
            self._hints.close()
        if self._task is not None:
            self._task.cancel()
        self._hints = self._task = None
        self._new.clear()
        self._reading.clear()

    # Rounds and rests.

    async def _run(self) -> None:
        failures, pause = 0, FIRST_PAUSE
        hinted = Hub.of(self._using, CHANGES).gives_hints
        while True:
            try:
                found = await self._round()
            except connections.DatabaseFault as error:
                logger.warning("What changed could not be read, and is read again: %s", error)
                await in_database_thread(partial(connections.discard, self._using))
                await asyncio.sleep(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])
                failures += 1
                self._everything = True
                continue
            failures = 0
            pause = HINTED_PAUSE if hinted else FIRST_PAUSE if found else min(pause * GROWTH, LONGEST_PAUSE)
            await self._rest(pause)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Wake whoever would wait for ever, once the tail has ended by an error that nobody expected."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failure = error
            for watched in self._watched.values():
                for subscription in watched.subscriptions:
                    subscription.stir()

    async def _rest(self, seconds: float) -> None:
        if not self._has_room():
            await asyncio.sleep(SHORTEST_PAUSE)
            timer = self._loop.call_later(seconds, self._hear, ANYTHING)
            try:
                await self._bell.wait()
            finally:
                timer.cancel()
        self._bell.clear()

    def _has_room(self) -> bool:
        """Tell whether there is more to read at once: a round reads only so much."""
        return any(each.hungry for each in self._reading)

    def _hear(self, hint: Hint) -> None:
        if hint.instances is None:
            self._everything = True
        elif known := hint.instances & self._ids.keys():
            self._named |= known
        else:
            return
        self._bell.set()

    async def _round(self) -> bool:
        """Read once. Returns: whether anything had changed."""
        new, self._new = self._new, {}
        everything, self._everything = self._everything, False
        named, self._named = self._named, set()
        wanted = self._watched.keys() if everything else {self._ids[id] for id in named if id in self._ids} | new.keys()
        # Whoever is new has not been told, even if nothing has changed.
        seen = [Seen(id, 0, 0) if id in new else self._watched[id].seen for id in sorted(wanted & self._watched.keys())]
        try:
            found = await self._changed(seen)
        except connections.DatabaseFault:
            for instance_id, subscriptions in new.items():
                self._new.setdefault(instance_id, []).extend(subscriptions)
            raise
        changed = [self._spread(instance_id, record, new.get(instance_id, ())) for instance_id, record in found.items()]
        for instance_id in wanted & self._watched.keys():
            for each in self._watched[instance_id].subscriptions:
                if each.streams:
                    each.expect_items()
                    self.read_on(each)
        await self._read_events()
        await self._read_entries()
        more = await self._read_items()
        return any(changed) or more

    async def _changed(self, seen: list[Seen]) -> dict[str, StatusRecord | None]:
        found: dict[str, StatusRecord | None] = {}
        for some in _chunks(seen, INSTANCES_AT_ONCE):
            found |= await in_database_thread(partial(_changed, some, using=self._using))
        return found

    def _spread(self, instance_id: str, record: StatusRecord | None, new: Iterable[Subscription]) -> bool:
        """Give a status to those who watch; who came while it was read has to wait for the next one."""
        watched = self._watched.get(instance_id)
        if watched is None:
            return False
        before = watched.seen
        same = record is not None and record.id == before.id
        changed = not same
        for each in [each for each in watched.subscriptions if each.record is not None]:
            if record is None or not same:
                each.lose()
            elif each.offer(record):
                changed = True
                self.read_on(each)
        for each in watched.subscriptions.keys() & set(new):
            if record is None:
                each.lose()
            else:
                each.offer(record)
        self._ids.pop(before.id, None)
        if record is not None:
            watched.seen = Seen(instance_id, record.id, record.revision)
            self._ids[record.id] = instance_id
        return changed

    async def _read_events(self) -> None:
        wanted = {each: each.read for each in self._reading if each.behind and each.room and each.record is not None}
        if not wanted:
            return
        first: dict[int, tuple[int, int]] = {}
        for each, read in wanted.items():
            id = _id_of(each)
            first[id] = min(first.get(id, read), read)
        payloads = any(each.grants is not None and each.grants.payload for each in wanted)
        limit = PAYLOADS_AT_ONCE if payloads else EVENTS_AT_ONCE
        places = [Place(id, *read) for id, read in sorted(first.items())]
        found = await in_database_thread(
            partial(_events_after, places, dict(self._ids), payloads=payloads, limit=limit, using=self._using)
        )
        by_id: dict[int, list[EventRecord]] = {id: [] for id in first}
        for event in found:
            by_id[event.id].append(event)
        cut = found[-1].id if len(found) == limit else None
        for each in wanted:
            id = _id_of(each)
            each.add_events(by_id[id], complete=cut is None or id < cut)
            self._settle(each)

    async def _read_entries(self) -> None:
        wanted = {each: _id_of(each) for each in self._reading if each.unlisted and each.record is not None}
        if not wanted:
            return
        ids = set(wanted.values())
        found = await in_database_thread(partial(_entries_of, ids, dict(self._ids), using=self._using))
        for each, id in wanted.items():
            each.put_entries(found[id])
            self._settle(each)

    async def _read_items(self) -> bool:
        """Read what streams have that are followed. Returns: whether there was something new."""
        wanted: dict[Cursor, list[tuple[Subscription, Followed]]] = {}
        for each in self._reading:
            for stream in each.streams:
                if stream.hungry:
                    wanted.setdefault(Cursor(_id_of(each), stream.name, stream.read), []).append((each, stream))
        if not wanted:
            return False
        runs = await in_database_thread(partial(_runs_after, list(wanted), dict(self._ids), using=self._using))
        more = False
        for run in runs:
            for each, stream in wanted[run.cursor]:
                if stream.add(run, complete=len(run.items) < ITEMS_AT_ONCE):
                    more = True
                    each.stir()
                elif not stream.unread and each.record is not None and each.record.runtime_status in TERMINAL:
                    each.stir()  # It may have been all that it had to be told.
                self._settle(each)
        return more

    def _settle(self, subscription: Subscription) -> None:
        if not subscription.lacking:
            self._reading.pop(subscription, None)


# What is read, as it may be shown: once for all who watch, in the thread that reads.


def _changed(seen: Sequence[Seen], *, using: str) -> dict[str, StatusRecord | None]:
    found = changes.changed_instances(seen, using=using)
    return {id: None if record is None else redaction.shown(record) for id, record in found.items()}


def _events_after(
    places: Sequence[Place], names: Mapping[int, str], *, payloads: bool, limit: int, using: str
) -> list[EventRecord]:
    found = changes.events_after(places, payloads=payloads, limit=limit, using=using)
    return [redaction.shown(each, instance_id=names.get(each.id, "")) for each in found]


def _entries_of(ids: Collection[int], names: Mapping[int, str], *, using: str) -> dict[int, dict[str, Payload]]:
    found = changes.entries_of_many(ids, using=using)
    return {id: redaction.shown_entries(entries, names.get(id, "")) for id, entries in found.items()}


def _runs_after(cursors: Sequence[Cursor], names: Mapping[int, str], *, using: str) -> list[Run]:
    found = streamreads.runs_after(cursors, limit=ITEMS_AT_ONCE, using=using)
    return [redaction.shown(each, instance_id=names.get(each.cursor.id, "")) for each in found]


def _pass_on(loop: asyncio.AbstractEventLoop, hear: Callable[[Hint], None], hint: Hint) -> None:
    """Take a hint from the hub's thread to the loop, which may have been closed meanwhile."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(hear, hint)


def _chunks(items: list[Seen], size: int) -> Iterable[list[Seen]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _id_of(subscription: Subscription) -> int:
    assert subscription.record is not None
    return subscription.record.id
