"""Finds the code of local steps that were not started by the commit that scheduled them.

A step's callable exists only in a program that has reached its place. Where this worker holds the instance, that is
the execution in memory; else it is rebuilt, which changes nothing, as often as the step is delivered.

Where that fails, the step is deferred like an activity whose code is missing. The instance may wait for nothing
else, so it is given a turn of its own: that turn fails the same way and blocks it with the reason, for all to see.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..engine.errors import NotRegistered
from ..engine.replay import Execution
from ..engine.steps import LocalStep
from ..store import connections, inbox
from ..store.checkpoints import load_pasts
from ..store.records import ClaimedTask, TaskKey
from .clock import Clock
from .hot import HotExecutions
from .ledger import Ledger
from .turns import TurnRunner


class FoundStep(NamedTuple):
    """A step, and the execution it is of: once that is closed, the files that its code had open are closed, too."""

    step: LocalStep
    execution: Execution


class StepFinder:
    """For the thread that dispatches."""

    def __init__(self, runner: TurnRunner, hot: HotExecutions, ledger: Ledger, *, clock: Clock, using: str) -> None:
        self._runner = runner
        self._hot = hot
        self._ledger = ledger
        self._clock = clock
        self._using = using

    def of(self, tasks: Sequence[ClaimedTask]) -> dict[TaskKey, FoundStep]:
        """Return the steps of tasks that were claimed; those that cannot be found are left out."""
        found: dict[TaskKey, FoundStep] = {}
        executions: dict[tuple[int, int], Execution | None] = {}
        for task in tasks:
            key = task.key
            place = key.instance, key.execution
            if place not in executions:
                executions[place] = self._in_memory(key) or self._rebuilt(task)
            execution = executions[place]
            if execution is not None and (step := execution.step_at(key.seq)) is not None:
                found[key] = FoundStep(step, execution)
        return found

    def _in_memory(self, key: TaskKey) -> Execution | None:
        held = self._ledger.held(key.instance)
        if held is None or held.place.execution_number != key.execution:
            return None
        return self._hot.find(key.instance, held.place)

    def _rebuilt(self, task: ClaimedTask) -> Execution | None:
        key = task.key
        try:
            past = load_pasts([(key.instance, key.execution)], using=self._using)[key.instance]
            return self._runner.rebuild(task.instance_id, past)
        except connections.DatabaseFault:
            raise
        except NotRegistered:
            return None  # Another worker may have the code.
        except Exception:  # Author code is run by a replay.
            inbox.ask_for_turn(key, self._clock.now(), using=self._using)
            return None
