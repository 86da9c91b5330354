"""Parameters that are not given by whoever starts or calls, but provided: streams, writers and signals.

    @orchestration
    async def answer(ctx, prompt: str, tokens: StreamWriter[str] = Provided, stop: Signal[None] = Provided): ...

The parameter's name is the name of the stream; what stands in the brackets is the type of its items.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from .errors import InvalidArgument
from .signals import LATCH, POLICIES, Signal
from .streams import Stream, StreamWriter

if TYPE_CHECKING:
    from .base import BaseProgram

KINDS = (Stream, StreamWriter, Signal)


@dataclass(frozen=True, slots=True)
class Marker:
    """The default of a parameter that is provided. Called, it gives one with options.

    Args:
        policy: What becomes of a signal that comes while no code listens: `latch` keeps the newest, `fifo` keeps all,
            `drop` keeps none.
    """

    policy: str = LATCH

    def __call__(self, *, policy: str = LATCH) -> Any:
        if policy not in POLICIES:
            raise InvalidArgument(f"policy is {policy!r:.80}, expected one of {', '.join(POLICIES)}.")
        return Marker(policy)

    def __repr__(self) -> str:
        return "Provided"


Provided: Any = Marker()


@dataclass(frozen=True, slots=True)
class Port:
    """A parameter that is provided: `kind` is one of `KINDS`, `type` that of its items."""

    name: str
    kind: type[Any]
    type: Any
    policy: str = LATCH


def provided_names(signature: inspect.Signature) -> frozenset[str]:
    """Return the parameters that are provided; their hints are not looked at."""
    return frozenset(name for name, each in signature.parameters.items() if isinstance(each.default, Marker))


def ports_of(function: Callable[..., Any], hints: Mapping[str, Any]) -> tuple[Port, ...]:
    """Return the parameters of a function that are provided, by name.

    Raises: InvalidArgument: one has no hint that says what is to be provided.
    """
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if isinstance(parameter.default, Marker)
    }
    return tuple(_port(function, name, hints.get(name), defaults[name]) for name in sorted(defaults))


def _port(function: Callable[..., Any], name: str, hint: Any, marker: Marker) -> Port:
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    kind = get_origin(hint) or hint
    if kind not in KINDS:
        raise InvalidArgument(
            f"Parameter {name!r} of {function.__qualname__}() is Provided, and its hint is {hint!r:.80}. Expected "
            f"Stream[...], StreamWriter[...] or Signal[...], imported where it can be resolved at run time."
        )
    arguments = get_args(hint)
    return Port(name, kind, arguments[0] if arguments else Any, marker.policy)


def provided(program: BaseProgram, ports: Iterable[Port]) -> dict[str, Any]:
    """Return what stands in a program for parameters that are provided, by name."""
    return {
        port.name: program.signal(port.name, port.type, port.policy)
        if port.kind is Signal
        else StreamWriter(program, port.name)
        if port.kind is StreamWriter
        else Stream(program, port.name, port.type)
        for port in ports
    }
