"""Random programs do the same natively, compiled, and from a checkpoint at every suspension."""

from __future__ import annotations

import pytest

from . import concurrency
from .fuzzing import compared

PROGRAMS = 300
"""`make fuzz-checkpoints` runs more."""


@pytest.mark.filterwarnings("ignore")  # Python warns of what chance has written.
@pytest.mark.parametrize("first", range(0, PROGRAMS, 20))
def test_random_programs_cannot_tell_how_they_are_run(first: int) -> None:
    for seed in range(first, first + 20):
        native, whole, stored = compared(seed)
        assert whole.seen() == native.seen(), f"seed {seed}, never stored"
        assert stored.seen() == native.seen(), f"seed {seed}, stored at every suspension"


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_random_orchestrations_with_tasks_have_the_history_that_they_have_replayed(first: int) -> None:
    for seed in range(first, first + 20):
        replayed, stored = concurrency.compared(seed)
        assert stored == replayed, f"seed {seed}"
