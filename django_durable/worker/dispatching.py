"""The dispatcher's thread: rounds until asked to stop, a pause after database errors, and the end in good order."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..store import connections
from .clock import Clock
from .dispatcher import Dispatcher
from .doorbell import Doorbell
from .instrumentation import Instrumentation

SHORTEST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
LONGEST_NAP = 0.5
"""Between two looks, while stopping, at what has ended, timed out, or failed to be written."""

ROUNDS_PER_PLAN = 500
"""Busy rounds after which statements are planned anew: tables may have grown a lot, and planning takes some 10 ms."""


class DispatchThread:
    """Runs a dispatcher on a thread of its own. `at_stop` and `at_end` are called on it, before its connection closes.

    Attributes:
        idle: Set while there is nothing due and nothing in hand.
        ended: Set when the thread has ended, in good order or not.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        *,
        clock: Clock,
        doorbell: Doorbell,
        instrumentation: Instrumentation,
        using: str,
        at_stop: Callable[[], None],
        at_end: Callable[[], None],
    ) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._doorbell = doorbell
        self._instrumentation = instrumentation
        self._using = using
        self._at_stop = at_stop
        self._at_end = at_end
        self._stop = threading.Event()
        self._deadline = 0.0
        self._pause = SHORTEST_PAUSE
        self._connection: object = None
        self._rounds = 0
        self._thread = threading.Thread(target=self._main, name="durable-dispatcher", daemon=True)
        self.idle = threading.Event()
        self.ended = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, seconds: float, given_up: Callable[[], bool]) -> bool:
        """Claim nothing more, give what runs `seconds` to end, hand the rest back, and end the thread.

        Args:
            given_up: Asked now and then; where it says so, the thread is not waited for.
        Returns: whether the thread has ended.
        """
        self._deadline = self._clock.monotonic() + seconds
        self._stop.set()
        self._doorbell.ring()
        while self._thread.is_alive() and not given_up():
            self._thread.join(LONGEST_NAP)
        return not self._thread.is_alive()

    def _main(self) -> None:
        try:
            while not self._stop.is_set():
                self._round()
            self._at_stop()
            self._wind_down()
        finally:
            try:
                self._dispatcher.close()
                self._at_end()
            finally:
                self.ended.set()
                self.idle.set()
                connections.close_all()

    def _round(self) -> None:
        try:
            if self._connection is None or connections.current(self._using) is not self._connection:
                self._connection = connections.look_up_by_index(self._using)
            busy = self._dispatcher.step()
            self._rounds += busy
            if self._rounds >= ROUNDS_PER_PLAN:
                self._rounds = 0
                connections.plan_anew(self._using)
        except connections.DatabaseFault as error:
            self._after(error)
            self._stop.wait(self._pause)
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            return
        self._pause = SHORTEST_PAUSE
        if busy:
            self.idle.clear()
            return
        if self._dispatcher.has_nothing():
            self.idle.set()
        self._doorbell.wait(self._dispatcher.seconds_to_sleep())

    def _wind_down(self) -> None:
        """Let what runs end and write its outcomes; at the deadline hand back what still runs."""
        while True:
            overdue = self._clock.monotonic() >= self._deadline
            try:
                if self._dispatcher.wind_down(abandon=overdue):
                    return
            except connections.DatabaseFault as error:
                self._after(error)
            if overdue:
                return  # Its leases run out; nothing more can be done without the database.
            self._doorbell.wait(min(self._deadline - self._clock.monotonic(), LONGEST_NAP))

    def _after(self, error: Exception) -> None:
        self._instrumentation.database_failed(error, self._pause)
        connections.discard(self._using)
        self._dispatcher.look()
