"""A host whose every turn runs twice: in memory, and in a chain of executions, each loaded from the one before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from django_durable.engine.checkpoint import CompiledFunction
from django_durable.engine.checkpointed.awaiting import compiled
from django_durable.engine.errors import NotRegistered
from django_durable.engine.events import Fact, HistoryEvent
from django_durable.engine.program import Checkpoint, Past
from django_durable.engine.replay import Execution

from .support import Callee, FakeEnvironment, Host

FUNCTIONS: dict[str, CompiledFunction] = {}


def durable(function: Callable[..., Any]) -> CompiledFunction:
    """Compile a function that stories call."""
    made = compiled(function)
    FUNCTIONS[made.name] = made
    return made


class CheckpointEnvironment(FakeEnvironment):
    """An environment whose orchestrations take checkpoints."""

    def __init__(self, *orchestrations: Callable[..., Any], **options: Any) -> None:
        super().__init__(*orchestrations, **options)
        self.records_spans = True

    def orchestration(self, ref: Any, version: str | None = None) -> Callee:
        callee = super().orchestration(ref, version)
        callee.compiled = compiled(callee.function)
        return callee

    def durable_function(self, name: str) -> CompiledFunction:
        if name not in FUNCTIONS:
            raise NotRegistered("durable function", name)
        return FUNCTIONS[name]


class CheckpointHost(Host):
    """A `Host` that keeps the last checkpoint; see the module docstring."""

    checkpoint: Checkpoint | None = None

    def _environment(self) -> FakeEnvironment:
        return CheckpointEnvironment(*self._functions, limits=self._limits)

    def turn(self, *facts: Fact, after: timedelta = timedelta(milliseconds=10)) -> list[HistoryEvent]:
        self.now += after
        queue = list(self.queue)
        loaded = self.loaded()
        new = self._run(self.execution, facts, self.queue)
        assert _without_tracebacks(self._run(loaded, facts, queue)) == _without_tracebacks(new)
        self.checkpoint = loaded.checkpoint()
        loaded.close()
        return self._keep(new)

    def loaded(self) -> Execution:
        """Return the execution as another process would have it."""
        return Execution.rebuild(self._environment(), Past([], self.checkpoint))


def _without_tracebacks(events: Sequence[HistoryEvent]) -> list[Any]:
    return [(each.seq, each.kind, str(getattr(each.fact, "failure", each.fact))) for each in events]
