"""A program whose code is compiled: where it stands is data, so it goes on from a checkpoint and replays nothing."""

from __future__ import annotations

import json
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from .. import events
from ..base import BaseProgram
from ..checkpoint import CompiledFunction, dump, load
from ..context import OrchestrationContext
from ..errors import CheckpointDamaged, DurableError, NotRegistered
from ..events import Payload, StoredValue, fact_from_columns
from ..program import Environment
from . import awaiting, borrowed, contexts, decoders, futures, spans, steps, streaming, tasks
from .coroutines import Root
from .parts import Kind, Loading, Saving

FORMAT = "django_durable checkpoint 1"
KINDS: tuple[Kind, ...] = (
    *(*spans.KINDS, *steps.KINDS, *decoders.KINDS, *streaming.KINDS),
    *(*borrowed.KINDS, *futures.KINDS, *tasks.KINDS, *contexts.kinds(lambda program: _saving(program))),
)


class CheckpointedProgram(BaseProgram):
    """Compiled orchestration code. From its start it also replays, as where a retry copies a history."""

    def _main(self, ctx: OrchestrationContext, payload: Payload) -> Coroutine[Any, Any, Payload]:
        return Root.of_call(self, payload)

    def run_by_task(self, coro: Any) -> Any:
        return awaiting.adapt_task(coro, self)

    def checkpoint(self, recorded_at: datetime) -> Payload:
        return self.codec.seal(json.dumps(self._standing(recorded_at), separators=(",", ":")))

    def _standing(self, recorded_at: datetime) -> dict[str, Any]:
        context = self.context
        saving = _saving(self)
        graph = {
            "tasks": self.loop.tasks(),
            "outstanding": self.outstanding.standing(),
            "streams": streaming.standing(self.streams),
            "spans": None if self.spans is None else self.spans.standing(),
            "parts": saving.states,
        }
        # Its input, and what the execution before it left, are read when it starts.
        started = replace(self.started, input="null", carried_events=(), kv={}, custom_status=None)
        return {
            "format": FORMAT,
            "recorded_at": recorded_at.isoformat(),
            "started": list(started.columns()),
            "now_ms": self.now_ms,
            "loop": list(self.loop.standing()),
            "custom_status": self._custom_status,
            "cancel": None if self._cancel is None else [self._cancel.reason],
            "kv": {key: list(value) for key, value in self.key_values.snapshot().items()},
            "context": context.standing(),
            "graph": dump(graph, reference=saving.reference, hooks=self.environment.hooks),
        }

    @classmethod
    def load(
        cls, environment: Environment, state: Payload, *, patches: frozenset[str]
    ) -> tuple[CheckpointedProgram, datetime]:
        """Return a program from its checkpoint, and its `recorded_at`; nothing of the author's code runs.

        Raises: NotRegistered, CodeChanged: the code is missing, or is other code. CheckpointDamaged.
        """
        data = environment.codec.decode(state)
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise CheckpointDamaged(f"it does not have the format {FORMAT!r}")
        try:
            started = fact_from_columns(*data["started"])
            assert isinstance(started, events.OrchestrationStarted)
            definition = environment.orchestration(started.name, started.version)
            if definition.compiled is None:
                raise NotRegistered("checkpointed orchestration", started.name, version=started.version)
            program = cls(environment, definition, patches=patches)
            program._stand(started, data)
            return program, datetime.fromisoformat(data["recorded_at"])
        except DurableError:
            raise
        except (KeyError, TypeError, ValueError, IndexError, AssertionError) as error:
            raise CheckpointDamaged(f"{type(error).__name__}: {error}") from error

    def _stand(self, started: events.OrchestrationStarted, data: dict[str, Any]) -> None:
        self.now_ms = data["now_ms"]
        self._custom_status = data["custom_status"]
        if data["cancel"] is not None:
            self._cancel = events.OrchestrationCancelRequested(reason=data["cancel"][0])
        context = self._begin(started, {key: StoredValue(*value) for key, value in data["kv"].items()})
        context.stand(data["context"])
        loading = Loading(self, KINDS, list(_constants(self)))
        hooks = self.environment.hooks
        graph = load(data["graph"], find=self._find, resolve=loading.resolve, hooks=hooks)
        loading.fill(graph["parts"])
        self.outstanding.stand(graph["outstanding"])
        streaming.stand(self.streams, graph.get("streams"))
        if self.spans is not None and graph["spans"] is not None:
            self.spans.stand(graph["spans"])
        tasks.restore(self.loop, loading.with_callbacks(graph["parts"]), self.environment.limits.steps_per_turn)
        self._root = graph["tasks"][0]
        self.loop.stand(*data["loop"])

    def _find(self, name: str, hash: str) -> CompiledFunction:
        if awaiting.owns(name):
            return awaiting.find(name)
        own = self.definition.compiled
        if isinstance(own, CompiledFunction) and own.name == name:
            return own
        return self.environment.durable_function(name)


def _saving(program: BaseProgram) -> Saving:
    return Saving(program, KINDS, list(_constants(program)))


def _constants(program: BaseProgram) -> Iterator[tuple[str, Any]]:
    """Yield the parts that every program has one of, by name."""
    context = program.context
    yield "ctx", context
    yield "logger", context.logger
    yield "loop", program.loop
    yield "codec", program.codec
    if "random" in context.__dict__:
        yield "random", context.random
