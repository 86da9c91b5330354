"""Hints that there is something to look at. The database is the truth: a lost hint costs latency, never work.

PostgreSQL: NOTIFY in the transaction, so it arrives after the commit and not at all after a rollback, and LISTEN on a
connection of its own; on one channel to workers, that there is work, on another to those who wait or watch, that
instances changed. SQLite: a connection of its own asks `PRAGMA data_version`, which changes with every commit of
another connection and reads no page. One `Hub` per process, database and channels serves every subscriber with one
thread, which ends with the last of them, or some time later where that one expects others to come. Whatever was missed
while there was no connection is made up for by one hint to look at everything, after each connect.
"""

from __future__ import annotations

import os
import selectors
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.core import mail
from django.db import DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ..conf import settings

WORK = "django_durable_work"
CHANGES = "django_durable"
CHANNELS = (WORK, CHANGES)
MESSAGES = "m"
"""Told of work that is messages only, so that nobody looks for activities."""

INSTANCES_NAMED = 100
"""More changed instances than this in one notification are told as "many"."""

BACKOFF_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
QUICK_SECONDS, SLOW_SECONDS = 0.001, 0.02
LINGER_SECONDS = 60.0
"""How long the thread outlives subscribers of the kind that comes again soon: connecting costs more than listening."""

CONNECTION = {
    "connect_timeout": 10,
    "fallback_application_name": "django_durable hints",
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
"""Options of the listening connection, unless the project sets them: one that only reads must notice a dead network."""


@dataclass(frozen=True, slots=True)
class Hint:
    """What may have happened: work became claimable, instances (surrogate ids) changed. `instances` None is "any".

    Without `tasks` the work is messages only: no activity became claimable.
    """

    work: bool = True
    tasks: bool = True
    instances: frozenset[int] | None = None


ANYTHING = Hint()


class Notice(NamedTuple):
    """A hint on its way through PostgreSQL."""

    channel: str
    payload: str


def notify(using: str, *, work: bool = False, messages: bool = False, instances: Iterable[int] = ()) -> None:
    """Tell listeners once the transaction that is open has committed. Does nothing on SQLite or with NOTIFY off."""
    connection = connections[using]
    send(connection, notices_of(connection, work=work, messages=messages, instances=instances))


def send(connection: BaseDatabaseWrapper, notices: Sequence[Notice]) -> None:
    """Send notices with the commit of the transaction that is open."""
    if notices:
        selected, params = calls(notices)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {', '.join(selected)}", params)


def calls(notices: Sequence[Notice]) -> tuple[list[str], list[str]]:
    """Return the calls by which a SELECT sends notices, and their parameters."""
    return ["pg_notify(%s, %s)"] * len(notices), [each for notice in notices for each in notice]


def notices_of(
    connection: BaseDatabaseWrapper, *, work: bool = False, messages: bool = False, instances: Iterable[int] = ()
) -> list[Notice]:
    """Return what tells listeners; nothing on SQLite or with NOTIFY off.

    Args:
        messages: There are messages for instances, and no activities. `work` is anything that workers do.
    """
    changed = sorted(set(instances))
    if connection.vendor != "postgresql" or not settings.NOTIFY:
        return []
    named = "*" if len(changed) > INSTANCES_NAMED else ",".join(map(str, changed))
    told = [Notice(WORK, "" if work else MESSAGES)] if work or messages else []
    return [*told, Notice(CHANGES, named)] if changed else told


def _decode(channel: str, payload: str) -> Hint:
    if channel == WORK:
        return Hint(tasks=payload != MESSAGES, instances=frozenset())
    if payload == "*":
        return Hint(work=False, tasks=False)
    return Hint(False, False, frozenset(int(each) for each in payload.split(",") if each.isdigit()))


class Subscription:
    """Calls back with every hint until it is closed.

    The callback runs on the hub's thread, also once more while `close` is under way. It must neither block nor raise.
    """

    def __init__(self, hub: Hub, callback: Callable[[Hint], None]) -> None:
        self._hub = hub
        self.callback = callback

    def close(self, *, linger: bool = False) -> None:
        """End it; a second time does nothing. Does not wait for the hub's thread.

        Args:
            linger: If it was the last one, let the thread stay ready for the next for a while.
        """
        self._hub._remove(self, LINGER_SECONDS if linger and not _in_tests() else 0.0)


class Hub:
    """The hints of one database in this process. `Hub.of` gives it; its thread runs while anybody subscribes."""

    _hubs: dict[tuple[str, tuple[str, ...]], Hub] = {}
    _guard = threading.Lock()

    def __init__(self, using: str, channels: tuple[str, ...] = CHANNELS) -> None:
        self._using = using
        self._channels = channels
        self._lock = threading.Lock()
        self._subscriptions: tuple[Subscription, ...] = ()
        self._stop: _Stop | None = None

    @classmethod
    def of(cls, using: str | None = None, *channels: str) -> Hub:
        """Return the hub of a database; a forked process has its own.

        Args:
            channels: What it gives hints of, where the database can tell work and changes apart; both unless given.
        """
        with cls._guard:
            name = using or settings.DATABASE
            key = (name, channels if channels and connections[name].vendor == "postgresql" else CHANNELS)
            if key not in cls._hubs:
                cls._hubs[key] = cls(*key)
            return cls._hubs[key]

    @classmethod
    def _forget(cls) -> None:
        """Start afresh in a forked process: its threads stayed behind, and perhaps the holder of a lock."""
        cls._hubs, cls._guard = {}, threading.Lock()

    @property
    def gives_hints(self) -> bool:
        """Whether hints can come at all; where not, callers poll."""
        connection = connections[self._using]
        if connection.vendor == "postgresql":
            return bool(settings.NOTIFY)
        return connection.vendor == "sqlite" and not _in_memory(connection)

    @property
    def running(self) -> bool:
        """Whether its thread runs: then whoever subscribes first and looks afterwards misses nothing by one look."""
        stop = self._stop
        return stop is not None and not stop.is_set()

    def subscribe(self, callback: Callable[[Hint], None]) -> Subscription:
        """Start calling `callback`, first of all with a hint to look at everything. The first subscriber starts the
        thread."""
        subscription = Subscription(self, callback)
        with self._lock:
            self._subscriptions += (subscription,)
            if self._stop is not None and self._stop.revoke():
                callback(ANYTHING)  # The thread will not connect anew, which would be its first hint.
            elif self.gives_hints:
                self._stop = _Stop()
                source = _listen if connections[self._using].vendor == "postgresql" else _watch
                threading.Thread(
                    target=_run,
                    args=(source, self._using, self._channels, self._publish, self._stop),
                    name=f"durable-hints-{self._using}",
                    daemon=True,
                ).start()
        return subscription

    def _remove(self, subscription: Subscription, linger: float) -> None:
        with self._lock:
            if subscription not in self._subscriptions:
                return
            self._subscriptions = tuple(each for each in self._subscriptions if each is not subscription)
            if not self._subscriptions and self._stop is not None:
                self._stop.set(linger)
                if not linger:
                    self._stop = None

    def _publish(self, hint: Hint) -> None:
        for subscription in self._subscriptions:
            subscription.callback(hint)


os.register_at_fork(after_in_child=Hub._forget)


def _in_tests() -> bool:
    """Tell whether Django's test environment is set up: its databases are taken away between tests and at the end."""
    return hasattr(mail, "outbox")


class _Stop:
    """A flag that also ends a wait for a socket, at once or at a deadline. Closed by the thread that it ends."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._deadline: float | None = None
        self._lock = threading.Lock()
        self._reader, self._writer = os.pipe()

    def set(self, after: float = 0.0) -> None:
        """Set it now, or in some seconds unless that is revoked."""
        with self._lock:
            if after:
                self._deadline = time.monotonic() + after
            elif not self._event.is_set():
                os.write(self._writer, b"!")  # Before the flag: the thread closes the pipe once it sees that.
                self._event.set()

    def revoke(self) -> bool:
        """Take back what was to come. Returns: False where it is set already."""
        with self._lock:
            self._deadline = None
            return not self._event.is_set()

    def is_set(self) -> bool:
        with self._lock:
            if self._deadline is not None and time.monotonic() >= self._deadline:
                self._event.set()
            return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        return self._event.wait(seconds) or self.is_set()

    def fileno(self) -> int:
        return self._reader

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)


Publish = Callable[[Hint], None]


def _run(
    source: Callable[[str, tuple[str, ...], Publish, _Stop], None],
    using: str,
    channels: tuple[str, ...],
    publish: Publish,
    stop: _Stop,
) -> None:
    try:
        source(using, channels, publish, stop)
    finally:
        connections[using].close()
        if stop.is_set():
            stop.close()


def _in_memory(connection: Any) -> bool:
    return bool(connection.is_in_memory_db())


def _listen(using: str, channels: tuple[str, ...], publish: Publish, stop: _Stop) -> None:
    """LISTEN until stopped; reconnect for ever, and after each connect tell subscribers to look at everything."""
    import psycopg

    failures = 0
    while not stop.is_set():
        try:
            with _listening_connection(using, channels) as connection, selectors.DefaultSelector() as selector:
                failures = 0
                publish(ANYTHING)
                selector.register(connection, selectors.EVENT_READ)
                selector.register(stop, selectors.EVENT_READ)
                while not stop.is_set():
                    selector.select(LINGER_SECONDS)
                    if hints := [_decode(each.channel, each.payload) for each in connection.notifies(timeout=0)]:
                        publish(_merged(hints))
        except (psycopg.Error, OSError):
            stop.wait(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])
            failures += 1


def _merged(hints: Sequence[Hint]) -> Hint:
    """Return one hint for all notifications that have arrived."""
    named = [each.instances for each in hints if each.instances is not None]
    instances = frozenset().union(*named) if len(named) == len(hints) else None
    return Hint(any(each.work for each in hints), any(each.tasks for each in hints), instances)


def _listening_connection(using: str, channels: tuple[str, ...]) -> Any:
    import psycopg

    options = {**CONNECTION, **connections[using].get_connection_params()}
    for ours in ("cursor_factory", "context"):
        options.pop(ours, None)
    connection = psycopg.connect(**options, autocommit=True)
    for channel in channels:
        connection.execute(f"LISTEN {channel}")
    return connection


def _watch(using: str, channels: tuple[str, ...], publish: Publish, stop: _Stop) -> None:
    """Ask the data version until stopped: often while it changes, less often the longer it does not."""
    wait, seen = QUICK_SECONDS, None
    while not stop.wait(wait):
        try:
            version = _data_version(using)
        except (DatabaseError, InterfaceError):
            connections[using].close()
            version = None
        if version == seen and version is not None:
            wait = min(wait * 1.1, SLOW_SECONDS)
            continue
        # The first version too: what a subscriber looked at may have changed before this thread first asked.
        wait, seen = QUICK_SECONDS, version
        publish(ANYTHING)


def _data_version(using: str) -> int:
    """Ask it of the driver: Django's cursor costs as much again, and idle workers ask fifty times a second."""
    connection: Any = connections[using]
    connection.ensure_connection()
    with connection.wrap_database_errors:
        return int(connection.connection.execute("PRAGMA data_version").fetchone()[0])
