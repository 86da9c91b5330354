"""One play of a scenario, with one worker at a time: where one dies, the next goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from ...client import Client
from ...registry import Registry
from ...store.records import TaskKey
from . import traces
from .mortal import Call, Mortal

Scenario = Callable[[Client], Iterable[timedelta | None]]
LEASE = timedelta(seconds=10)
BEYOND_THE_LEASE = LEASE + timedelta(seconds=1)
NOT_AT_ALL = timedelta(0)


class Play:
    """What happens while a scenario is played.

    Args:
        options: Of the workers.
        dies_at: The boundary at which the first worker is killed; None for none.
    Attributes:
        reached: The names of the boundaries that the first worker reached.
        died: Whether it was killed at the last of them.
        called_again: Activities that the second called although their outcome was recorded when the first died.
    """

    def __init__(self, registry: Registry, options: dict[str, Any], dies_at: int | None) -> None:
        self._registry = registry
        self._options = {"lease": LEASE, **options}
        self._dies_at = dies_at
        self._called: set[TaskKey] = set()
        self._open: dict[TaskKey, int] = {}
        self.reached: list[str] = []
        self.died = False
        self.called_again: list[Call] = []

    def perform(self, scenario: Scenario, client: Client) -> None:
        """Play it to its end. Raises: AssertionError: a worker failed, or is stuck."""
        self._worker = self._start(datetime.now(UTC), self._dies_at)
        self.reached = self._worker.boundaries
        try:
            for by in scenario(client):
                self._run(by or NOT_AT_ALL)
        finally:
            self._worker.end()

    def _run(self, by: timedelta) -> None:
        """Let the worker run for a time of its clock; if it dies, another one does what was left to do."""
        goal = self._worker.now + by
        heard = len(self._worker.calls)
        alive = self._worker.run(by)
        self.called_again += [call for call in self._worker.calls[heard:] if self._is_again(call)]
        if not alive:
            self._replace()
            self._run(max(goal - self._worker.now, NOT_AT_ALL))

    def _replace(self) -> None:
        if self.died:
            raise AssertionError(f"The second worker died, too, at {self._worker.boundaries[-1:]}.")
        self.died = True
        self._worker.end()
        traces.wait_until_undone(self._options["using"])
        self._called = {call.key for call in self._worker.calls}
        self._open = traces.open_tasks(self._options["using"])
        self._worker = self._start(self._worker.now + BEYOND_THE_LEASE, None)

    def _is_again(self, call: Call) -> bool:
        return call.key in self._called and call.attempt < self._open.get(call.key, call.attempt + 1)

    def _start(self, now: datetime, dies_at: int | None) -> Mortal:
        return Mortal(self._registry, dies_at=dies_at, now=now, **self._options)
