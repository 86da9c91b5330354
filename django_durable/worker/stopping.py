"""SIGTERM and SIGINT: the first asks for an orderly stop, the second for an immediate one."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequests:
    """Counts stop signals while it is entered; for the main thread.

    The handler only counts and writes to a pipe: it may interrupt code that holds any lock.

    Args:
        at_second: Called by the handler of the second signal.
    """

    def __init__(self, at_second: Callable[[], None] | None = None) -> None:
        self._at_second = at_second
        self._count = 0
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> StopRequests:
        self._before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)

    @property
    def requested(self) -> bool:
        """Whether there was a signal."""
        return self._count >= 1

    @property
    def forced(self) -> bool:
        """Whether there was a second one."""
        return self._count >= 2

    def wait(self, seconds: float) -> None:
        """Return at the next signal, or after `seconds`."""
        readable, _, _ = select.select([self._reader], [], [], seconds)
        if readable:
            os.read(self._reader, 16)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self.forced and self._at_second is not None:
            self._at_second()
        with suppress(BlockingIOError):  # Full of unread signals: the reader wakes anyway.
            os.write(self._writer, b"!")
