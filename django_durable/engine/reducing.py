"""Generators that run as activities or steps: how what they yield becomes their result.

    async def write(text: Annotated[str, Reducer(operator.add)], prompt: str) -> AsyncGenerator[str, str]:
        async for word in model.stream(prompt, so_far=text):
            text = yield word

What is yielded is a partial result. The reducer folds it into the state, which the `yield` returns. The state is the
function's first argument: the one it was called with, or what had been folded when an earlier attempt ended or died.
The last state is the result.
"""

from __future__ import annotations

import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin

from .errors import InvalidArgument

S = TypeVar("S")
P = TypeVar("P")

_YIELDS = (AsyncGenerator, AsyncIterator, AsyncIterable, Generator, Iterator, Iterable)


def newest(state: Any, partial: Any) -> Any:
    """Return the partial result: it replaces the state."""
    return partial


@dataclass(frozen=True, slots=True)
class Reducer(Generic[S, P]):
    """Says in a hint how partial results are folded: `Annotated[list[str], Reducer(add)]`.

    Args:
        function: Returns the next state of a state and a partial result. It is called for each partial result once
            more where an attempt is taken over. By default the newest replaces the state.
    """

    function: Callable[[S, P], S] = newest

    def __call__(self, state: S, partial: P) -> S:
        return self.function(state, partial)


@dataclass(frozen=True, slots=True)
class Reduction:
    """What a generator's hints say: the parameter of the state, its type, the reducer, the type of what is yielded."""

    parameter: str
    state: Any
    reducer: Reducer[Any, Any]
    partial: Any


def is_generator(function: Callable[..., Any]) -> bool:
    """Tell whether a function yields, be it `def` or `async def`."""
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def reduction_of(
    function: Callable[..., Any],
    hints: Mapping[str, Any],
    *,
    skip: int,
    what: str,
    default: Reducer[Any, Any] | None = None,
) -> Reduction:
    """Return what the hints of a generator say.

    Args:
        skip: How many leading parameters come before the state: 1 where the function takes `ctx`.
        default: The reducer where the hint names none.
    Raises: InvalidArgument: no parameter takes the state, or its hint has no reducer.
    """
    parameters = list(inspect.signature(function).parameters.values())[skip:]
    first = parameters[0] if parameters else None
    if first is None or first.kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD):
        raise InvalidArgument(f"{what} is a generator and takes no state. {_EXPECTED}")
    hint = hints.get(first.name, Any)
    options = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    reducer = next((each for each in options if isinstance(each, Reducer)), default)
    if reducer is None:
        raise InvalidArgument(f"{what} is a generator, and the hint of {first.name!r} has no Reducer. {_EXPECTED}")
    return Reduction(first.name, get_args(hint)[0] if options else hint, reducer, _yielded(hints.get("return", Any)))


_EXPECTED = (
    "Its first parameter is what its partial results are folded into, for example "
    "text: Annotated[str, Reducer(operator.add)]; or return a result instead of yielding."
)


def _yielded(hint: Any) -> Any:
    arguments = get_args(hint)
    return arguments[0] if get_origin(hint) in _YIELDS and arguments else Any
