"""How tasks are written and made again.

A task of asyncio can be made in one way only: with a coroutine that it runs at the loop's next step. So a loaded task
runs `Resumed`, which waits at a gate before it goes on from where the task stood. The gates open one by one, in the
order in which the futures call their callbacks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import Context
from types import CoroutineType
from typing import Any

from ..errors import CheckpointDamaged, Unstorable
from ..loop import OrchestrationFuture, OrchestrationLoop, OrchestrationTask, outcome_of as awaiting
from . import contexts
from .coroutines import Resumed, Root
from .futures import AGAIN, CALLS, PENDING, WAKES, callbacks_of, outcome_of, outer_of
from .parts import Kind, Loading, Saving

ROOT, FRAME, AWAITS = "root", "frame", "awaits"


class Gate(OrchestrationFuture[None]):
    """Cannot be canceled: a loaded task is told here how often it was canceled before, and takes no notice."""

    def cancel(self, msg: Any = None) -> bool:
        return True


class Tasks:
    """The tasks of the loop."""

    name = "task"

    def owns(self, part: Any) -> bool:
        return isinstance(part, OrchestrationTask)

    def scalars(self, part: OrchestrationTask[Any], saving: Saving) -> Sequence[Any]:
        context = [] if part.done() else [saving.reference(part.context)]
        return [hash(part), part.get_name(), *context]

    def state(self, part: OrchestrationTask[Any], saving: Saving) -> dict[str, Any]:
        state = {"outcome": outcome_of(part), "callbacks": callbacks_of(part), "cancels": part.cancelling()}
        return state if part.done() else {**state, "runs": _insides(part.get_coro())}

    def shell(self, scalars: Sequence[Any], loading: Loading) -> OrchestrationTask[Any]:
        order, name, *token = scalars
        # Checkpoints that were made before contexts were in them have none.
        context = loading.resolve(token[0]) if token else contexts.fresh(loading.program)
        return OrchestrationTask(Resumed(), loop=loading.program.loop, name=name, order=order, context=context)

    def fill(self, part: OrchestrationTask[Any], state: Any, loading: Loading) -> None:
        resumed: Any = part.get_coro()
        match state["outcome"]:
            case [str(kind)] if kind == PENDING:
                resumed.inner = _from_insides(state["runs"], loading)
                resumed.gate = Gate(loop=loading.program.loop)
            case [_]:
                resumed.error = asyncio.CancelledError()
            case [_, result]:
                resumed.result = result
            case [_, error, _]:
                resumed.error = error


def _insides(coroutine: Any) -> list[Any]:
    """Return what a task that waits runs, as values of the graph. What is none is refused by who writes the graph."""
    if isinstance(coroutine, Resumed):
        coroutine = coroutine.inner
    if isinstance(coroutine, Root):
        return [ROOT, coroutine.frame]
    if getattr(coroutine, "cr_code", None) is awaiting.__code__:
        return [AWAITS, coroutine.cr_frame.f_locals["future"]]
    if isinstance(coroutine, CoroutineType):
        hint = f"Make {coroutine.__qualname__}() durable, too, so that its calls can be stored"
        raise Unstorable("What a task runs", "", "a coroutine", hint)
    return [FRAME, coroutine]


def _from_insides(insides: Sequence[Any], loading: Loading) -> Any:
    kind, inside = insides
    match kind:
        case "root":
            return Root(loading.program.definition, inside)
        case "awaits":
            return awaiting(inside)
        case "frame":
            return inside
    raise CheckpointDamaged(f"a task runs {kind!r}")


def restore(loop: OrchestrationLoop, parts: Sequence[tuple[Any, Any]], steps: int) -> None:
    """Let every task go on to where it stood, and give every future its callbacks, in their order.

    Args:
        parts: The parts with callbacks, each with its state.
        steps: As in `run_until_idle`.
    Raises: CheckpointDamaged: a task stands at no future.
    """
    loop.run_until_idle(steps)  # Each task comes to its gate, or to its end.
    gates = {}
    for part, state in parts:
        if isinstance(part, OrchestrationTask) and state["outcome"][0] == PENDING:
            gates[part] = part._fut_waiter  # type: ignore[attr-defined]
            for _ in range(state["cancels"]):
                part.cancel()
        elif state["outcome"][0] == "error" and state["outcome"][2]:
            part.exception()
    for part, state in parts:
        for callback in state["callbacks"]:
            match callback:
                case [str(kind), task] if kind == WAKES:
                    gates.pop(task).set_result(None)
                    loop.run_until_idle(steps)
                case [str(kind), owner, str(method)] if kind == CALLS:
                    part.add_done_callback(getattr(owner, method), context=Context())
                case [str(kind), outer] if kind == AGAIN:
                    _move_to_end(part, outer)
                case [_, function, *context]:
                    part.add_done_callback(function, context=context[0] if context else Context())
    if gates:
        raise CheckpointDamaged(f"{next(iter(gates)).get_name()} waits for nothing")


def _move_to_end(future: Any, outer: Any) -> None:
    """Move the callback of `outer` behind those that are back already."""
    own = next(each for each, _ in future._callbacks if outer_of(each) is outer)
    future.remove_done_callback(own)
    future.add_done_callback(own)


KINDS: tuple[Kind, ...] = (Tasks(),)
