"""Where activities and the test meet: files in a directory whose path both find in the environment.

Activities append a line for each time they run, and stop at gates until the test opens them. So a test knows what runs
when it kills, and nobody sleeps longer than needed.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

T = TypeVar("T")

VARIABLE = "ACCEPTANCE_STAGE"
DEADLINE = 60.0
"""Seconds after which a wait has failed; nothing takes that long on a machine that runs at all."""


class Run(NamedTuple):
    """One time that an activity was called."""

    instance: str
    label: str
    attempt: int
    worker: str


def until(find: Callable[[], T], what: str, seconds: float = DEADLINE) -> T:
    """Ask `find` until it returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < deadline, f"Waited {seconds:.0f} s for {what}."
        time.sleep(0.01)
    return found


class Stage:
    """The directory. Activities find theirs with `Stage.here()`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @classmethod
    def here(cls) -> Stage:
        return cls(Path(os.environ[VARIABLE]))

    # For activities.

    def note(self, ctx, label: str) -> None:
        """Write down that an activity runs."""
        line = f"{ctx.instance_id} {label} {ctx.attempt} {ctx.worker_id}\n".encode()
        file = os.open(self._runs, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, line)  # One write, so that lines of several processes do not mix.
        finally:
            os.close(file)

    def wait_at(self, gate: str) -> None:
        """Stand at a gate until the test opens it."""
        (self.directory / f"{gate}.reached").touch()
        until(lambda: self.is_open(gate), f"gate {gate!r} to open")

    def is_open(self, gate: str) -> bool:
        return (self.directory / f"{gate}.open").exists()

    # For tests.

    def open(self, gate: str) -> None:
        """Let everybody pass who stands at a gate or comes to it."""
        (self.directory / f"{gate}.open").touch()

    def wait_until_reached(self, gate: str) -> None:
        """Wait until an activity stands at a gate."""
        until((self.directory / f"{gate}.reached").exists, f"an activity to reach gate {gate!r}")

    def runs(self) -> list[Run]:
        """Return every call of an activity so far, in order."""
        if not self._runs.exists():
            return []
        parts = (line.split(" ") for line in self._runs.read_text().splitlines())
        return [Run(instance, label, int(attempt), worker) for instance, label, attempt, worker in parts]

    def wait_for_runs(self, count: int) -> None:
        """Wait until activities were called so often."""
        until(lambda: self.run_count() >= count, f"{count} calls of activities")

    def run_count(self) -> int:
        """Return how many calls of activities there were so far."""
        return self._runs.read_bytes().count(b"\n") if self._runs.exists() else 0

    def counts(self, instance: str) -> Counter[str]:
        """Return how often each activity of an instance ran, by its label."""
        return Counter(run.label for run in self.runs() if run.instance == instance)

    @property
    def _runs(self) -> Path:
        return self.directory / "runs"
