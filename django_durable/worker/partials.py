"""Stores what generators yield, out of their way.

Theory of operation. A generator puts each partial result into the buffer of its attempt, and goes on. One thread of the
worker, which starts with the first of them, stores what the buffers hold: a transaction for each that has something,
guarded by its lease, and then a pause, in which more gathers. So what a generator costs the database follows from how
long it runs and not from how often it yields, and a crash loses what was yielded in the last moment. A generator that
yields faster than it is stored waits. Where the store refuses, the generator learns of it at its next `yield`.

While the database fails everything is kept and tried again, what failed last behind the others. Any other error is the
attempt's, and ends the thread: the worker has failed then, as with its other threads.

A worker without threads stores each partial result at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..engine.errors import LeaseLost, StreamClosed
from ..engine.events import Payload
from ..store import connections, streams
from .attempts import Attempt
from .clock import Clock
from .instrumentation import Instrumentation

PAUSE_SECONDS = 0.1
"""How long partial results gather; about how much later others see them, and how much of its work a crash repeats."""

MOST_WAITING = 1000
MOST_BYTES = 1_000_000
"""Of one generator; more, and it waits."""


class Buffer:
    """What one attempt has yielded and is not stored yet. Any thread may call any method.

    Attributes:
        at_once: Whether nobody else stores it: flush after each `put`.
    """

    def __init__(
        self, attempt: Attempt, stream: str, *, at_once: bool, ring: Callable[[], None], clock: Clock, using: str
    ) -> None:
        self.attempt = attempt
        self.at_once = at_once
        self._stream = stream
        self._ring = ring
        self._clock = clock
        self._using = using
        self._changed = threading.Condition()
        self._storing = threading.Lock()
        self._waiting: list[Payload] = []
        self._bytes = 0
        self._refused: BaseException | None = None

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= MOST_WAITING or self._bytes >= MOST_BYTES

    def put(self, payload: Payload) -> None:
        """Take a partial result. Raises: what earlier ones were refused with; stop."""
        with self._changed:
            if self._refused is not None:
                raise self._refused
            self._waiting.append(payload)
            self._bytes += len(payload)
        self._ring()

    def wait_for_room(self, seconds: float) -> None:
        """Return when there is room, or after some time."""
        with self._changed:
            self._changed.wait_for(lambda: not self.is_full or self._refused is not None, seconds)

    def flush(self) -> None:
        """Store what is there.

        Raises: DatabaseFault: it was kept; try again. LeaseLost, StreamClosed, and what nobody expects: it is refused.
        Writes: Stream, StreamItem, InboxMessage; in the transaction that is open, or one of its own.
        """
        with self._storing:
            with self._changed:
                taken = list(self._waiting)
            if not taken:
                return
            task = self.attempt.task
            try:
                streams.append_from_activity(
                    *(task.key, task.lease_token, self._stream, taken), now=self._clock.now(), using=self._using
                )
            except connections.DatabaseFault:
                raise
            except BaseException as error:
                self._refuse(error)
                raise
            with self._changed:
                del self._waiting[: len(taken)]
                self._bytes -= sum(map(len, taken))
                self._changed.notify_all()

    def _refuse(self, error: BaseException) -> None:
        with self._changed:
            self._refused = error
            self._waiting.clear()
            self._bytes = 0
            self._changed.notify_all()


class PartialsWriter:
    """The thread, and the buffers that it looks after."""

    def __init__(self, *, clock: Clock, instrumentation: Instrumentation, using: str, at_once: bool) -> None:
        self._clock = clock
        self._instrumentation = instrumentation
        self._using = using
        self._at_once = at_once
        self._lock = threading.Lock()
        self._buffers: dict[Buffer, None] = {}
        self._thread: threading.Thread | None = None
        self._rung = threading.Event()
        self._stop = threading.Event()

    def open(self, attempt: Attempt, stream: str) -> Buffer:
        """Return a new buffer, which is stored until it is given to `close`."""
        ring = self._rung.set if not self._at_once else _nobody
        buffer = Buffer(attempt, stream, at_once=self._at_once, ring=ring, clock=self._clock, using=self._using)
        if not self._at_once:
            with self._lock:
                self._buffers[buffer] = None
                if self._thread is None:
                    self._thread = threading.Thread(target=self._main, name="durable-partials", daemon=True)
                    self._thread.start()
        return buffer

    def close(self, buffer: Buffer) -> None:
        """Forget a buffer; what is left in it is dropped."""
        with self._lock:
            self._buffers.pop(buffer, None)

    @property
    def alive(self) -> bool:
        """Whether its thread runs, or will start with the first buffer."""
        return self._thread is None or self._thread.is_alive()

    def stop(self) -> None:
        """End the thread, after a last round."""
        self._stop.set()
        self._rung.set()
        if self._thread is not None:
            self._thread.join()

    def _main(self) -> None:
        try:
            while not self._stop.is_set():
                self._rung.wait()
                self._rung.clear()
                self._store_all()
                self._stop.wait(PAUSE_SECONDS)
        finally:
            connections.close_all()

    def _store_all(self) -> None:
        with self._lock:
            buffers = list(self._buffers)
        for buffer in buffers:
            try:
                buffer.flush()
            except LeaseLost:
                buffer.attempt.cancel()
            except StreamClosed:
                continue  # The generator gets it from `put`.
            except connections.DatabaseFault as error:
                self._instrumentation.database_failed(error, PAUSE_SECONDS)
                connections.discard(self._using)
                self._move_back(buffer)
                self._rung.set()
                return

    def _move_back(self, buffer: Buffer) -> None:
        """Let the others come first the next time: their streams need not be locked, too."""
        with self._lock:
            if buffer in self._buffers:
                del self._buffers[buffer]
                self._buffers[buffer] = None


def _nobody() -> None:
    """What a buffer rings that is flushed at once."""
