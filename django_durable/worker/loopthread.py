"""One thread with an event loop, for activities that are `async def`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from typing import Any, ParamSpec

P = ParamSpec("P")

LAST_WORDS = 1.0
"""Seconds that canceled tasks get to end when the loop closes."""


def canceler() -> Callable[[], None]:
    """Return a function that cancels the calling task, from any thread."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def cancel() -> None:
        with suppress(RuntimeError):  # Its loop has been closed: the task has ended.
            loop.call_soon_threadsafe(task.cancel)

    return cancel


class LoopThread:
    """Runs coroutines on a loop that starts with the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closing = False
        self._tasks: set[asyncio.Task[None]] = set()

    def start(
        self, context: Context, function: Callable[P, Coroutine[Any, Any, None]], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Run `function(*args, **kwargs)` as a task, in a copy of `context`. From any thread."""

        def spawn() -> None:
            task = loop.create_task(function(*args, **kwargs))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        loop = self._running_loop()
        loop.call_soon_threadsafe(spawn, context=context)

    def close(self) -> None:
        """Cancel what runs and end the thread; one that author code blocks is left behind."""
        with self._lock:
            self._closing = True
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(2 * LAST_WORDS)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._main, args=(loop,), name="durable-asyncio", daemon=True)
                self._thread.start()
            return self._loop

    def _main(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        while not self._closing:
            try:
                loop.run_forever()
            except (SystemExit, KeyboardInterrupt):
                # A task that author code started on its own raised it; only the worker decides to exit.
                continue
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            loop.run_until_complete(asyncio.wait(self._tasks, timeout=LAST_WORDS))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
