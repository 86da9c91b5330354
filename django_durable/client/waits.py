"""Waiting: a condition is looked at, again at every hint, and now and then without one.

Hints make a wait quick, the looks between them make it certain. A wait does not hold a connection, a transaction or, in
async code, a thread while nothing happens.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Generic, TypeVar

from asgiref.sync import sync_to_async

from ..conf import settings
from ..engine.durations import Duration, milliseconds
from ..engine.errors import InvalidArgument, WaitInsideTransaction
from ..store import transactions, wakeups

T = TypeVar("T")

DEFAULT_TIMEOUT = timedelta(seconds=30)
SHORTEST_PAUSE = 0.002
LONGEST_PAUSE = 0.1
GROWTH = 1.5
HINTED_PAUSE = 1.0
"""Longest pause, in seconds, while hints arrive: what a lost one may cost."""


class Wait(Generic[T]):
    """One wait, run once by `run` or `arun`.

    Args:
        look: Reads the database; returns a tuple of the value when it is there, None while it is not.
        expired: Returns what the wait gives when its time is over, or raises.
        concerns: Tells whether a hint about this instance matters; called from another thread.
        timeout: Duration; zero looks once.
    Raises: InvalidArgument: a timeout that is no duration, or longer than `MAX_WAIT`.
    """

    def __init__(
        self,
        look: Callable[[], tuple[T] | None],
        expired: Callable[[], T],
        *,
        concerns: Callable[[wakeups.Hint], bool],
        timeout: Duration,
        using: str,
    ) -> None:
        self._look = look
        self._expired = expired
        self._concerns = concerns
        self._using = using
        self._seconds = milliseconds(timeout, "timeout") / 1000
        longest = settings.MAX_WAIT.total_seconds()
        if self._seconds > longest:
            raise InvalidArgument(
                f"timeout is {self._seconds:,.0f} s, the longest wait is {longest:,.0f} s. Wait again when it is "
                f"over, or raise DJANGO_DURABLE['MAX_WAIT']."
            )

    def run(self) -> T:
        """Wait in this thread."""
        started = time.monotonic()
        if (found := self._first()) is not None:
            return found[0]
        bell = threading.Event()
        with self._subscribed(bell.set) as hub:
            for pause in self._pauses(started, hub):
                bell.wait(pause)
                bell.clear()
                if (found := self._look()) is not None:
                    return found[0]
        return self._expired()

    async def arun(self) -> T:
        """Wait in the running event loop; only the looks take a thread."""
        started = time.monotonic()
        if (found := await sync_to_async(self._first)()) is not None:
            return found[0]
        bell = asyncio.Event()
        loop = asyncio.get_running_loop()
        with self._subscribed(lambda: loop.call_soon_threadsafe(bell.set)) as hub:
            for pause in self._pauses(started, hub):
                with suppress(TimeoutError):
                    await asyncio.wait_for(bell.wait(), pause)
                bell.clear()
                if (found := await sync_to_async(self._look)()) is not None:
                    return found[0]
        return self._expired()
