"""Runs instances inside a test: on its thread, in its transaction, by its clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ..client import Client
from ..registry import Registry, default as default_registry
from ..worker.worker import Worker
from .clock import FakeClock


class Durable:
    """One worker without threads and the clock it lives by.

    Args:
        registry: Whose code runs; by default what the decorators registered.
        clock: The clock; by default a new one.
        options: As keywords, see `WorkerOptions`.
    """

    def __init__(self, registry: Registry | None = None, *, clock: FakeClock | None = None, **options: Any) -> None:
        self.clock = clock or FakeClock()
        self.registry = registry or default_registry
        self.client = Client(self.registry, clock=self.clock.now)
        self._options = options
        self.worker = self._new_worker()

    def run(self) -> int:
        """Run everything that is due now until nothing is. Returns: how many rounds that took."""
        return self.worker.drain()

    def advance(self, by: timedelta | None = None, **parts: float) -> None:
        """Move the clock, by a timedelta or its parts (`days=2`), and run what became due, each at its own time.

        What is due already runs first: a timer that it starts, of just that duration, fires.
        """
        self.run()
        until = self.clock.now() + (by if by is not None else timedelta(**parts))
        while (due := self.worker.next_due()) is not None and due <= until:
            self.clock.advance_to(due)
            self.run()
        self.clock.advance_to(until)

    def run_to_the_end(self) -> None:
        """Run, and move the clock to whatever becomes due next, until nothing waits for a time any more."""
        self.run()
        while (due := self.worker.next_due()) is not None:
            self.clock.advance_to(due)
            self.run()

    def now(self) -> datetime:
        """Return what the clock shows."""
        return self.clock.now()

    def restart(self) -> None:
        """Go on with a new worker, as after a crash: nothing is in memory, every execution is replayed."""
        self.worker = self._new_worker()

    def close(self) -> None:
        """Let go of what is in memory."""
        self.worker.close()

    def _new_worker(self) -> Worker:
        return Worker(self.registry, clock=self.clock, **self._options)
