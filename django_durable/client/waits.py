"""Waiting: a condition is looked at, again at every hint, and now and then without one.

The looks make a wait certain, hints let it end at once. A wait does not hold a connection, a transaction or, in async
code, a thread while nothing happens; the process has one thread that listens, see `wakeups`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

from asgiref.sync import sync_to_async

from ..conf import settings
from ..engine.durations import Duration, milliseconds
from ..engine.errors import InvalidArgument, WaitInsideTransaction
from ..engine.states import RuntimeStatus
from ..store import queries, wakeups

T = TypeVar("T")

DEFAULT_TIMEOUT = timedelta(seconds=30)
SHORTEST_PAUSE = 0.002
"""Seconds between two looks at least, however many hints there are."""

UNHINTED = SHORTEST_PAUSE, 0.1, 1.5
HINTED = 0.1, 1.0, 2.0
"""The first pause between looks, the longest, and how they grow. Where there are hints, the longest is what a lost one
may cost."""


class Reading(Protocol):
    """What a look sees of an instance."""

    @property
    def id(self) -> int: ...
    @property
    def runtime_status(self) -> RuntimeStatus: ...


R = TypeVar("R", bound=Reading)


class Wait(Generic[R, T]):
    """One wait, run once by `run` or `arun`.

    Args:
        read: Reads the database.
        pick: Returns a tuple of the value once what was read has it, None before.
        expired: Returns what the wait gives when its time is over, or raises; takes what was read last.
        timeout: Duration; zero looks once.
    Raises: InvalidArgument: a timeout that is no duration, or longer than `MAX_WAIT`.
    """

    def __init__(
        self,
        read: Callable[[], R],
        pick: Callable[[R], tuple[T] | None],
        expired: Callable[[R], T],
        *,
        timeout: Duration,
        using: str,
    ) -> None:
        self._read = read
        self._pick = pick
        self._expired = expired
        self._using = using
        self._seconds = milliseconds(timeout, "timeout") / 1000
        longest = settings.MAX_WAIT.total_seconds()
        if self._seconds > longest:
            raise InvalidArgument(
                f"timeout is {self._seconds:,.0f} s, the longest wait is {longest:,.0f} s. Wait again when it is "
                f"over, or raise DJANGO_DURABLE['MAX_WAIT']."
            )
        self._hub = wakeups.Hub.of(using, wakeups.CHANGES)
        self._seen: R
        self._id: int | None = None

    def run(self) -> T:
        """Wait in this thread."""
        started = time.monotonic()
        if self._looks_alone() and ((found := self._first()) is not None or not self._seconds):
            return self._value(found)
        bell = threading.Event()
        with self._hints(bell.set) as hinted:
            bell.clear()  # The look sees what it may have been rung for.
            if (found := self._first()) is not None:
                return found[0]
            for pause in self._pauses(started, hinted):
                if bell.wait(pause):
                    bell.clear()
                if (found := self._look()) is not None:
                    return found[0]
                time.sleep(SHORTEST_PAUSE)
        return self._expired(self._seen)

    async def arun(self) -> T:
        """Wait in the running event loop; only the looks take a thread."""
        started = time.monotonic()
        if self._looks_alone() and ((found := await sync_to_async(self._first)()) is not None or not self._seconds):
            return self._value(found)
        bell = asyncio.Event()
        loop = asyncio.get_running_loop()

        def ring() -> None:
            with suppress(RuntimeError):  # The loop was closed by somebody who did not let this wait end.
                loop.call_soon_threadsafe(bell.set)

        with self._hints(ring) as hinted:
            if (found := await sync_to_async(self._first)()) is not None:
                return found[0]
            for pause in self._pauses(started, hinted):
                # Not asyncio.wait_for, which in Python 3.11 loses a cancellation that comes with the bell.
                timer = loop.call_later(pause, bell.set)
                try:
                    await bell.wait()
                finally:
                    timer.cancel()
                bell.clear()
                if (found := await sync_to_async(self._look)()) is not None:
                    return found[0]
                await asyncio.sleep(SHORTEST_PAUSE)
        return self._expired(self._seen)

    def _looks_alone(self) -> bool:
        """Tell whether to look before there are hints: they are not worth a thread for what is there already."""
        return not self._seconds or not self._hub.running

    def _value(self, found: tuple[T] | None) -> T:
        return self._expired(self._seen) if found is None else found[0]

    def _first(self) -> tuple[T] | None:
        found = self._look()
        if found is None and self._seconds and queries.hides_commits(self._using):
            raise WaitInsideTransaction(
                "Waiting inside transaction.atomic() could never see the answer: a start made in the block is not "
                "committed, and what workers commit may be hidden from it. Wait after the block. In a test, let "
                "django_durable.testing run the instance, or use a test case with real transactions."
            )
        return found

    def _look(self) -> tuple[T] | None:
        self._seen = self._read()
        self._id = self._seen.id
        return self._pick(self._seen)

    def _pauses(self, started: float, hinted: bool) -> Iterator[float]:
        """Yield how many seconds to wait for a hint before each further look, until the time is over."""
        pause, longest, growth = HINTED if hinted else UNHINTED
        while (left := started + self._seconds - time.monotonic()) > 0:
            yield min(pause, left)
            pause = min(pause * growth, longest)

    @contextmanager
    def _hints(self, ring: Callable[[], object]) -> Iterator[bool]:
        """Call `ring` at each hint that matters, from the hub's thread. Yields: whether there can be any."""

        def heard(hint: wakeups.Hint) -> None:
            if self._id is None or hint.instances is None or self._id in hint.instances:
                ring()

        subscription = self._hub.subscribe(heard)
        try:
            yield self._hub.gives_hints
        finally:
            subscription.close(linger=True)
