"""Ends turns whose code does not come back: `while True: pass`, which no count of steps sees.

Theory of operation. Orchestration code runs on the dispatcher's thread. While it spins there, the worker does nothing
else, its instance's lease runs out, and the next worker that takes the instance is caught, too. So:

1. The dispatcher's thread says when it enters code and when it leaves it. The lease keeper's thread looks now and then,
   and counts in how many looks it saw the same turn. It counts looks and not seconds, because a process that was
   stopped for a while, or got no CPU, has not been in its code for that long.
2. After half a lease, it has `OutOfTime` raised in the dispatcher's thread, by CPython's call for that, and again at
   each later look. The turn ends by `TurnTimeout`; its instance is blocked while its lease still holds.
3. Code that catches even that, or is inside a call that does not return, cannot be ended. After a whole lease the
   worker gives up: it counts as failed, its process ends and is started again by whoever runs it. Each such turn counts
   as tried, so that in the end the instance is blocked as `Poisoned`.

The interruption must never reach code that has left its turn. Whoever interrupts says so first, and then asks whether
the turn is left; whoever leaves says so first, then waits until nobody interrupts, and takes back what has not arrived.
There is no lock: an interruption that arrives between taking one and being bound to release it would keep it for ever.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from ..engine.errors import TurnTimeout

T = TypeVar("T")


class OutOfTime(BaseException):
    """Raised in the middle of a turn; no `Exception`, so that `except Exception` of its code lets it pass."""


class Watchdog:
    """Watches the turns of one dispatcher.

    Attributes:
        gave_up: The id of the instance whose code cannot be ended, or None; where it comes back after all, again None.
    """

    def __init__(self) -> None:
        self._thread = 0
        self._instance_id: str | None = None
        self._looks = 0
        self._interrupted = False
        self._interrupting = False
        self.gave_up: str | None = None

    def watch(self, instance_id: str, call: Callable[[], T]) -> T:
        """Call code of an instance, on the thread that makes turns. Raises: TurnTimeout: it was interrupted."""
        self._thread, self._looks, self._interrupted = threading.get_ident(), 0, False
        left = False
        try:
            self._instance_id = instance_id
            return call()
        finally:
            while not left:
                try:
                    self._leave()
                    left = True
                except OutOfTime:
                    pass
            if self._interrupted:
                raise TurnTimeout(instance_id) from None

    def look(self, most: int) -> str | None:
        """Interrupt a turn that was seen in more than `most` looks; give up after twice as many. On another thread.

        Returns: the instance that this look gave up, if it did.
        """
        self._interrupting = True
        try:
            instance_id = self._instance_id
            if instance_id is None:
                return None
            self._looks += 1
            if self._looks > most:
                self._interrupted = True
                _raise_in(self._thread, OutOfTime)
            if self._looks <= 2 * most or self.gave_up is not None:
                return None
            self.gave_up = instance_id
            return instance_id
        finally:
            self._interrupting = False

    def _leave(self) -> None:
        self._instance_id = None
        while self._interrupting:
            time.sleep(0)
        if self._interrupted:
            _raise_in(self._thread, None)
        self.gave_up = None


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Have a thread raise an exception at its next step in Python code; with None, take back what did not arrive."""
    given = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), given)
