"""What a worker has in hand: attempts of activities, and the instance leases it keeps because of them.

The dispatcher writes it; the lease keeper reads it and strikes out what was lost. An instance is *held* from a
committed turn on for as long as activities that this turn's execution waits for are in hand: their completions then go
straight into its next turn.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ..store.records import ClaimedInstance, TaskKey
from .attempts import Attempt
from .hot import Place


@dataclass(frozen=True, slots=True)
class Held:
    """An instance whose lease is kept: its identity, as last claimed, and where its execution stands."""

    claim: ClaimedInstance
    place: Place


class Ledger:
    """Thread-safe bookkeeping of attempts and held instances."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._attempts: dict[TaskKey, Attempt] = {}
        self._busy: Counter[tuple[int, int]] = Counter()
        self._held: dict[int, Held] = {}

    # Attempts.

    def add(self, attempts: Iterable[Attempt]) -> None:
        """Take attempts in hand."""
        with self._lock:
            for attempt in attempts:
                key = attempt.task.key
                self._attempts[key] = attempt
                self._busy[key.instance, key.execution] += 1

    def remove(self, attempts: Iterable[Attempt]) -> None:
        """Let attempts go: the database has their outcome, or somebody else has their task."""
        with self._lock:
            for attempt in attempts:
                key = attempt.task.key
                if self._attempts.get(key) is attempt:
                    del self._attempts[key]
                    self._busy[key.instance, key.execution] -= 1
                    if not self._busy[key.instance, key.execution]:
                        del self._busy[key.instance, key.execution]

    def busy(self, instance: int, execution: int) -> int:
        """Return how many attempts of an execution are in hand."""
        with self._lock:
            return self._busy[instance, execution]

    def attempts(self) -> list[Attempt]:
        """Return all attempts in hand."""
        with self._lock:
            return list(self._attempts.values())

    def empty(self) -> bool:
        """Tell whether nothing is in hand."""
        with self._lock:
            return not self._attempts

    def cancel(self, keys: Iterable[TaskKey]) -> None:
        """Ask attempts to stop whose tasks are gone."""
        with self._lock:
            found = [self._attempts[key] for key in keys if key in self._attempts]
        for attempt in found:
            attempt.cancel()

    def cancel_execution(self, instance: int, execution: int) -> None:
        """Ask all attempts of an execution to stop."""
        self.cancel(
            attempt.task.key
            for attempt in self.attempts()
            if attempt.task.key.instance == instance and attempt.task.key.execution == execution
        )

    # Held instances.

    def hold(self, instance: int, held: Held) -> None:
        """Keep an instance's lease, or note its new place."""
        with self._lock:
            self._held[instance] = held

    def held(self, instance: int) -> Held | None:
        """Return an instance that is held, or None."""
        with self._lock:
            return self._held.get(instance)

    def drop(self, instance: int, lease_token: int | None = None) -> None:
        """Note that an instance is no longer held; with a token, only if that is still the one it is held by."""
        with self._lock:
            held = self._held.get(instance)
            if held is not None and lease_token in (None, held.place.lease_token):
                del self._held[instance]

    def tokens(self) -> dict[int, int]:
        """Return the lease token of each held instance."""
        with self._lock:
            return {instance: held.place.lease_token for instance, held in self._held.items()}

    def idle(self) -> dict[int, int]:
        """Return the lease token of each held instance that nothing in hand belongs to any more."""
        with self._lock:
            return {
                instance: held.place.lease_token
                for instance, held in self._held.items()
                if not self._busy[instance, held.place.execution_number]
            }
