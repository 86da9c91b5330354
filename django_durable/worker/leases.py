"""Keeps what a worker has in hand: one thread with a connection of its own.

Once a second, and only while something runs for longer than that, it asks whether running tasks are still there: a task
that is gone was canceled, one with another token was taken over. Four times per lease it renews all leases, one
statement per kind. Every few seconds it writes the worker's heartbeat. What it finds lost it strikes out of the ledger;
the dispatcher, and the guards of its writes, see to the rest.

It is also the thread that looks at the dispatcher's: whether a turn does not come back (see `watchdog`).

Details given to `ctx.heartbeat` are written here too, the newest of each activity once a second: reporting costs the
activity nothing, and works in `async def` and inside transactions.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from ..store import activities, claims, connections, sessions, workers
from ..store.records import TaskKey
from .attempts import Attempt
from .clock import Clock
from .instrumentation import Instrumentation
from .ledger import Ledger
from .watchdog import Watchdog

TICK_SECONDS = 1.0
RENEWALS_PER_LEASE = 4
"""The first may fail, and the second come late, before a lease is lost."""

HEARTBEAT_EVERY = timedelta(seconds=5)
"""Or once per lease, where that is shorter."""


class LeaseKeeper:
    """The thread; `start` and `stop` are for its worker, `tick` is one round of it."""

    def __init__(
        self,
        *,
        worker_id: str,
        using: str,
        lease: timedelta,
        session_idle: timedelta,
        clock: Clock,
        instrumentation: Instrumentation,
        ledger: Ledger,
        register: Callable[[], None],
        maintain: Callable[[datetime], None],
        watchdog: Watchdog,
    ) -> None:
        self._worker_id = worker_id
        self._using = using
        self._lease = lease
        self._session_idle = session_idle
        self._clock = clock
        self._instrumentation = instrumentation
        self._ledger = ledger
        self._register = register
        self._maintain = maintain
        self._watchdog = watchdog
        self._pause = min(TICK_SECONDS, lease.total_seconds() / RENEWALS_PER_LEASE)
        self._looks_per_turn = round(lease / timedelta(seconds=self._pause) / 2)
        self._beat_every = min(HEARTBEAT_EVERY, lease)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._main, name="durable-leases", daemon=True)
        self._renewed: datetime | None = None
        self._beaten: datetime | None = None
        self._noted: dict[TaskKey, str] = {}

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End the thread; nothing is renewed any more."""
        self._stop.set()
        self._thread.join()

    def _main(self) -> None:
        try:
            while not self._stop.wait(self._pause):
                if (instance_id := self._watchdog.look(self._looks_per_turn)) is not None:
                    self._instrumentation.turn_never_ended(instance_id)
                try:
                    self.tick(self._clock.now())
                except connections.DatabaseFault as error:
                    self._instrumentation.database_failed(error, self._pause)
                    connections.discard(self._using)
        finally:
            connections.close_all()

    def tick(self, now: datetime) -> None:
        """Do what is due at `now`."""
        attempts = [attempt for attempt in self._ledger.attempts() if not attempt.settled]
        if self._renewed is None:
            self._renewed = now
        if now - self._renewed >= self._lease / RENEWALS_PER_LEASE:
            self._renewed = now
            self._renew(attempts, now)
        elif running := self._long_running(attempts):
            self._strike_out(activities.find_lost(_tokens(running), using=self._using))
        self.note_heartbeats(now)
        if self._beaten is None or now - self._beaten >= self._beat_every:
            self._beaten = now
            self._beat(now)
        self._maintain(now)

    def note_heartbeats(self, now: datetime) -> None:
        """Write the details that activities gave since the last time."""
        current: dict[TaskKey, str] = {}
        for attempt in self._ledger.attempts():
            details, key = attempt.heartbeat, attempt.task.key
            if details is None:
                continue
            current[key] = details
            if self._noted.get(key) is not details:
                activities.record_heartbeat(key, attempt.task.lease_token, details, self._lease, now, using=self._using)
        self._noted = current

    def _renew(self, attempts: list[Attempt], now: datetime) -> None:
        sessions.renew_sessions(self._worker_id, self._lease, self._session_idle, now, using=self._using)
        tokens = self._ledger.tokens()
        if tokens:
            lost = claims.renew_instances(self._worker_id, tokens, self._lease, now, using=self._using)
            for instance in lost:
                self._ledger.drop(instance, tokens[instance])
            if lost:
                self._instrumentation.instance_leases_lost(len(lost))
        if attempts:
            keys = _tokens(attempts)
            self._strike_out(activities.renew_activities(self._worker_id, keys, self._lease, now, using=self._using))

    def _strike_out(self, lost: set[TaskKey]) -> None:
        if lost:
            self._ledger.cancel(lost)
            self._instrumentation.activity_leases_lost(len(lost))

    def _long_running(self, attempts: list[Attempt]) -> list[Attempt]:
        monotonic = self._clock.monotonic()
        return [
            attempt
            for attempt in attempts
            if attempt.started is not None
            and not attempt.cancel_requested
            and monotonic - attempt.started >= TICK_SECONDS
        ]

    def _beat(self, now: datetime) -> None:
        metrics = json.dumps(self._instrumentation.snapshot())
        if not workers.heartbeat(self._worker_id, metrics, now, using=self._using):
            self._register()  # Another worker took the silence of a stalled process for its end.
        if (database_now := connections.database_now(self._using)) is not None:
            self._clock.correct(database_now)


def _tokens(attempts: list[Attempt]) -> dict[TaskKey, int]:
    return {attempt.task.key: attempt.task.lease_token for attempt in attempts}
