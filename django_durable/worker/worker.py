"""A worker: its parts put together, and its life.

`Worker().start()` runs one in this process; `manage.py durable_worker` is the same class with signals. `drain` runs
what is due on the calling thread, with its connection and inside its transaction, and starts no thread: for tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from ..engine.errors import InvalidArgument
from ..registry import Registry, default as default_registry
from ..store import connections, due, sessions, workers
from ..store.records import SessionLimits
from ..store.wakeups import WORK, Hint, Hub, Subscription
from .builtins import lookup_in
from .clock import Clock, SystemClock
from .dispatcher import Dispatcher, DispatchOptions
from .dispatching import DispatchThread
from .doorbell import Doorbell
from .executor import ActivityRunner
from .hot import HotExecutions
from .instrumentation import Instrumentation
from .leases import LeaseKeeper
from .ledger import Ledger
from .maintenance import Maintenance
from .options import WorkerOptions
from .partials import PartialsWriter
from .pool import Executor, InlineExecutor, ThreadedExecutor
from .tracing import tracing_of
from .turns import TurnRunner
from .watchdog import Watchdog

TABLES = {"django_durable_instance", "django_durable_inboxmessage", "django_durable_activitytask"}
ROUNDS_OF_A_DRAIN = 100_000
POLL_WITH_HINTS = timedelta(seconds=5)
"""Where the database gives hints, polling only finds what a lost one would have told."""


class Worker:
    """Runs the instances and activities of one registry; starts once.

    Args:
        registry: What it has the code of; by default what the decorators registered.
        clock: Where it gets the time from; for tests.
        options: As keywords, see `WorkerOptions`; what is not given comes from the settings.
    Raises: InvalidArgument: an option that cannot mean anything.
    """

    def __init__(self, registry: Registry | None = None, *, clock: Clock | None = None, **options: Any) -> None:
        self.registry = registry or default_registry
        self.options = WorkerOptions.of(**options)
        self._clock = clock or SystemClock()
        self._instrumentation = Instrumentation(self.worker_id)
        self._ledger = Ledger()
        self._doorbell = Doorbell()
        self._watchdog = Watchdog()
        self._executor: Executor | None = None
        self._partials = self._partials_writer(at_once=False)
        self._dispatching: DispatchThread | None = None
        self._leases: LeaseKeeper | None = None
        self._hints: Subscription | None = None
        self._inline: Dispatcher | None = None

    @property
    def worker_id(self) -> str:
        """The name under which it holds leases."""
        return self.options.worker_id

    def metrics_snapshot(self) -> dict[str, int]:
        """Return what it has counted since it was made; the names are those of `instrumentation.COUNTED`."""
        return self._instrumentation.snapshot()

    # With threads.

    def start(self) -> None:
        """Start the threads and return.

        Raises:
            InvalidArgument: it was started before; make another one.
            ImproperlyConfigured: the tables are missing; run migrate.
        """
        if self._dispatching is not None:
            raise InvalidArgument(f"Worker {self.worker_id!r} was started before. Make a new Worker.")
        self._register()
        hub = Hub.of(self.options.using, WORK)
        poll = max(self.options.poll_interval, POLL_WITH_HINTS) if hub.gives_hints else self.options.poll_interval
        self._executor = ThreadedExecutor(
            self._activity_runner(self._partials),
            slots=self.options.concurrency,
            clock=self._clock,
            ring=self._doorbell.ring,
            buffer=self.options.buffer.total_seconds(),
        )
        self._hints = hub.subscribe(self._take_hint)
        self._dispatching = DispatchThread(
            self._dispatcher(self._executor, poll),
            clock=self._clock,
            doorbell=self._doorbell,
            instrumentation=self._instrumentation,
            using=self.options.using,
            at_stop=self._say_that_it_stops,
            at_end=self._unregister,
        )
        self._leases = self._lease_keeper()
        self._leases.start()
        self._dispatching.start()
        self._instrumentation.worker_started(self.options.using, self.options.concurrency)

    def stop(self, timeout: float | None = None) -> None:
        """Claim nothing more, let running activities end for `timeout` seconds, hand back the rest, and end.

        What is handed back, and every instance and session that it owned, is free for other workers at once.
        """
        if self._dispatching is None or self._executor is None or self._leases is None:
            return
        seconds = self.options.shutdown_timeout.total_seconds() if timeout is None else timeout
        self._instrumentation.worker_stopping()
        if self._hints is not None:
            self._hints.close()
        if self._dispatching.stop(seconds, lambda: self._watchdog.gave_up is not None):
            self._executor.close()
            self._partials.stop()
            self._instrumentation.worker_stopped()
        else:
            self._leases.stop()  # Nobody is left who could give anything back: it runs out.

    @property
    def running(self) -> bool:
        """Whether its threads run; one that has ended without being stopped has failed, and the worker with it.

        So has one whose orchestration code does not come back and cannot be ended; end the process then.
        """
        if self._dispatching is None or self._leases is None or self._watchdog.gave_up is not None:
            return False
        return self._leases.alive and self._partials.alive and not self._dispatching.ended.is_set()

    def wait_until_idle(self, timeout: float | None = None) -> bool:
        """Wait until nothing is due and nothing runs here. Returns: False after `timeout` seconds, or if it failed."""
        return self._dispatching is not None and self._dispatching.idle.wait(timeout) and self.running

    def wait_until_ended(self) -> None:
        """Wait until the dispatcher has ended, in good order or not."""
        if self._dispatching is not None:
            self._dispatching.ended.wait()

    def _take_hint(self, hint: Hint) -> None:
        if hint.work:
            self._doorbell.hint(tasks=hint.tasks)

    def _register(self) -> None:
        if missing := connections.missing_tables(self.options.using, TABLES):
            raise ImproperlyConfigured(
                f"Database {self.options.using!r} has no table {min(missing)!r}. Apply the migrations first: "
                f"manage.py migrate --database {self.options.using}."
            )
        if (database_now := connections.database_now(self.options.using)) is not None:
            self._clock.correct(database_now)  # Before the first turn, whose timers start at its time.
        self._write_row()
        # Those of an earlier process of this name. Nobody else would free them: the owner who renews them is back.
        workers.release_leases(self.worker_id, self._clock.now(), using=self.options.using)

    def _write_row(self) -> None:
        workers.register(
            self.worker_id, self.options.tags, self.options.concurrency, self._clock.now(), using=self.options.using
        )

    # On the dispatcher's thread.

    def _say_that_it_stops(self) -> None:
        with self._without_database():
            workers.note_stopping(self.worker_id, using=self.options.using)

    def _unregister(self) -> None:
        if self._leases is not None:
            self._leases.stop()  # First: it would write the worker's row again.
        with self._without_database():
            sessions.release_sessions(self.worker_id, using=self.options.using)
            workers.release_leases(self.worker_id, self._clock.now(), using=self.options.using)
            workers.remove(self.worker_id, using=self.options.using)

    @contextmanager
    def _without_database(self) -> Iterator[None]:
        """Go on stopping where the database fails: what cannot be given back runs out by itself."""
        try:
            yield
        except connections.DatabaseFault as error:
            self._instrumentation.database_failed(error, 0.0)
            connections.discard(self.options.using)

    # Without threads.

    def drain(self, rounds: int = ROUNDS_OF_A_DRAIN) -> int:
        """Run everything that is due now, on this thread and its connection, until nothing is.

        Inside `transaction.atomic()` all of it becomes part of that transaction.
        Args:
            rounds: Give up after so many.
        Returns: how many rounds had something to do.
        Raises: InvalidArgument: still busy after `rounds`; the usual cause is an orchestration that never waits for
            anything later than now.
        """
        if self._inline is None:
            executor = InlineExecutor(self._activity_runner(self._partials_writer(at_once=True)), clock=self._clock)
            self._inline = self._dispatcher(executor, self.options.poll_interval)
        for done in range(rounds):
            self._inline.look()
            if not self._inline.step():
                return done
        raise InvalidArgument(f"There was still something to do after {rounds:,} rounds.")

    def close(self) -> None:
        """Drop what drains have kept in memory."""
        if self._inline is not None:
            self._inline.close()

    def next_due(self) -> datetime | None:
        """Return when the next timer, delayed start or retry becomes due, or None where nothing waits for a time."""
        return due.next_due(self._clock.now(), using=self.options.using)

    # Parts.

    def _partials_writer(self, *, at_once: bool) -> PartialsWriter:
        return PartialsWriter(
            clock=self._clock, instrumentation=self._instrumentation, using=self.options.using, at_once=at_once
        )

    def _activity_runner(self, partials: PartialsWriter) -> ActivityRunner:
        options = self.options
        return ActivityRunner(
            lookup_in(self.registry, using=options.using),
            codec=self.registry.codec,
            client=lambda: self.registry.starter,
            clock=self._clock,
            worker_id=options.worker_id,
            max_deliveries=options.max_deliveries,
            using=options.using,
            partials=partials,
            tracing=tracing_of(options.worker_id, self._clock, using=options.using),
        )

    def _dispatcher(self, executor: Executor, poll: timedelta) -> Dispatcher:
        options = self.options
        hot = HotExecutions(options.hot_executions)
        tracing = tracing_of(options.worker_id, self._clock, using=options.using)
        return Dispatcher(
            DispatchOptions(
                worker_id=options.worker_id,
                using=options.using,
                tags=options.tags,
                sessions=_session_limits(options),
                lease=options.lease,
                poll=poll,
                batch=options.batch,
                max_deliveries=options.max_deliveries,
            ),
            clock=self._clock,
            doorbell=self._doorbell,
            executor=executor,
            hot=hot,
            instrumentation=self._instrumentation,
            ledger=self._ledger,
            lookup=lookup_in(self.registry, using=options.using),
            runner=TurnRunner(
                self.registry.environment, hot, self._instrumentation, self._watchdog, tracing, using=options.using
            ),
            tracing=tracing,
        )

    def _lease_keeper(self) -> LeaseKeeper:
        options = self.options
        return LeaseKeeper(
            worker_id=options.worker_id,
            using=options.using,
            lease=options.lease,
            session_idle=options.session_idle,
            clock=self._clock,
            instrumentation=self._instrumentation,
            ledger=self._ledger,
            watchdog=self._watchdog,
            register=self._write_row,
            maintain=Maintenance(
                self.registry,
                worker_id=options.worker_id,
                lease=options.lease,
                instrumentation=self._instrumentation,
                using=options.using,
            ),
        )


def _session_limits(options: WorkerOptions) -> SessionLimits | None:
    if not options.max_sessions:
        return None
    return SessionLimits(max_sessions=options.max_sessions, idle_ms=int(options.session_idle.total_seconds() * 1000))
