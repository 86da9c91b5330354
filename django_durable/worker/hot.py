"""Executions kept in memory between turns, so that a turn costs its new events and not the history.

An execution is worth something only while it is exactly what the database holds. Its place is the instance's lease
token, history length and execution number as they were when it was put here; it is handed out for the same place only,
and whoever takes it has to put it back after the commit. Anything else (another worker had a turn, an operator touched
the instance, a commit failed) changes the place, and the execution is rebuilt from its history.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from ..engine.replay import Execution


class Place(NamedTuple):
    """Where an execution stands; equal places mean the same history."""

    lease_token: int
    history_length: int
    execution_number: int


class HotExecutions:
    """A bounded cache of executions by instance, least recently used out first. For one thread."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[int, tuple[Place, Execution]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, instance: int, place: Place) -> Execution | None:
        """Remove and return the execution of `instance` if it stands at `place`; close one that stands elsewhere."""
        found = self._kept.pop(instance, None)
        if found is None:
            return None
        if found[0] == place:
            return found[1]
        found[1].close()
        return None

    def find(self, instance: int, place: Place) -> Execution | None:
        """Return the execution of `instance` if it stands at `place`, and keep it."""
        found = self._kept.get(instance)
        return found[1] if found is not None and found[0] == place else None

    def put(self, instance: int, place: Place, execution: Execution) -> int:
        """Keep an execution whose turn was committed. Returns: how many others had to leave."""
        self.drop(instance)
        self._kept[instance] = (place, execution)
        left = 0
        while len(self._kept) > self._capacity:
            _, (_, evicted) = self._kept.popitem(last=False)
            evicted.close()
            left += 1
        return left

    def drop(self, instance: int) -> None:
        """Forget an instance."""
        found = self._kept.pop(instance, None)
        if found is not None:
            found[1].close()

    def clear(self) -> None:
        """Forget all."""
        for instance in list(self._kept):
            self.drop(instance)
