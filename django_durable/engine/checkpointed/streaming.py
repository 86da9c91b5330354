"""How streams and signals are written: what code holds of them by their names, and what the program knows of each.

What stands in a task that is inside a signal, and in a future that waits for one, are parts of their own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from ..facts.streams import StreamedItem
from ..generated import Partials
from ..signals import Scope, Signal, SignalState
from ..streams import Stream, Streams, StreamState, StreamWriter
from .parts import Kind, Loading, Saving

PROVIDED, TYPE = "provided", "type"


def standing(streams: Streams) -> dict[str, Any]:
    """Return what a checkpoint keeps: of each stream how far it was read, of each signal who listens."""
    return {
        "carried": dict(streams.carried_from),
        "named": streams.named,
        "states": [_of_stream(each) for each in streams.states.values()],
        "signals": [[name, *_of_signal(each)] for name, each in streams.signals.items()],
    }


def stand(streams: Streams, state: dict[str, Any] | None) -> None:
    """Go on from `standing`; None is what checkpoints have that were made before streams were in them."""
    if state is None:
        return
    streams.carry(state["carried"])
    streams.named = state["named"]
    for name, position, unread, opened, ended, reason, closed in state["states"]:
        found = streams.state(name)  # Code that reads may hold it.
        found.position, found.unread = position, deque(StreamedItem(*each) for each in unread)
        found.opened, found.ended, found.reason, found.closed = opened, ended, reason, closed
    for name, policy, kept, scopes, waits in state["signals"]:
        listens = [Scope(task, cancelling, _item(item)) for task, cancelling, item in scopes]
        streams.signals[name] = SignalState(policy, deque(StreamedItem(*each) for each in kept), listens, deque(waits))


def _of_stream(state: StreamState) -> list[Any]:
    unread = [list(each) for each in state.unread]
    return [state.name, state.position, unread, state.opened, state.ended, state.reason, state.closed]


def _of_signal(state: SignalState) -> list[Any]:
    scopes = [[each.task, each.cancelling, each.item and list(each.item)] for each in state.scopes]
    waits = [each for each in state.waits if not each.done()]
    return [state.policy, [list(each) for each in state.kept], scopes, waits]


def _item(written: Sequence[Any] | None) -> StreamedItem | None:
    return None if written is None else StreamedItem(*written)


class Ends:
    """Objects that are nothing but the name of a stream, and the type of its items."""

    def __init__(self, name: str, type: type[Any]) -> None:
        self.name = name
        self.type = type

    def owns(self, part: Any) -> bool:
        return type(part) is self.type

    def scalars(self, part: Any, saving: Saving) -> Sequence[Any]:
        return [part.name]

    def state(self, part: Any, saving: Saving) -> list[Any]:
        if not hasattr(part, "type"):
            return []
        # The hint of a parameter is found again with the parameter, and may be what no checkpoint can hold.
        if part.type is _provided_type(saving.program.definition, part.name):
            return [PROVIDED]
        return [TYPE, part.type]

    def shell(self, scalars: Sequence[Any], loading: Loading) -> Any:
        return self.type(loading.program, scalars[0])

    def fill(self, part: Any, state: Any, loading: Loading) -> None:
        match state:
            case [str(kind)] if kind == PROVIDED:
                part.type = _provided_type(loading.program.definition, part.name)
            case [_, found]:
                part.type = found


def _provided_type(definition: Any, name: str) -> Any:
    return next((port.type for port in definition.ports if port.name == name), Any)


class PartialResults(Ends):
    """The streams of generators, with their results."""

    def state(self, part: Partials[Any], saving: Saving) -> list[Any]:
        return [super().state(part, saving), part._result]

    def shell(self, scalars: Sequence[Any], loading: Loading) -> Partials[Any]:
        part: Partials[Any] = Partials.__new__(Partials)
        part.name = scalars[0]
        return part

    def fill(self, part: Partials[Any], state: Any, loading: Loading) -> None:
        own, result = state
        part._program, part._result = loading.program, result
        super().fill(part, own, loading)


class States:
    """What the program knows of a stream, as code of the library holds it while it reads."""

    name = "stream state"

    def owns(self, part: Any) -> bool:
        return type(part) is StreamState

    def scalars(self, part: StreamState, saving: Saving) -> Sequence[Any]:
        return [part.name]

    def state(self, part: StreamState, saving: Saving) -> None:
        return None

    def shell(self, scalars: Sequence[Any], loading: Loading) -> StreamState:
        return loading.program.streams.state(scalars[0])

    def fill(self, part: StreamState, state: Any, loading: Loading) -> None:
        """Nothing is left to do: `stand` fills it."""


KINDS: tuple[Kind, ...] = (
    *(Ends("stream", Stream), Ends("writer", StreamWriter), Ends("signal", Signal)),
    *(PartialResults("partials", Partials), States()),
)
