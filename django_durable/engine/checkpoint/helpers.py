"""What generated code calls, beside what the author wrote. A helper's name in the code is its name here with a dot."""

from __future__ import annotations

import itertools
import types
from collections.abc import Generator, Iterator
from typing import Any

from .frame import Control, Frame
from .walk import iterate

STANDING = object()
"""What a frame yields when it has come back to where it was suspended, before it waits there again."""


@types.coroutine
def standing(awaited: Any) -> Generator[Any, Any, Any]:
    """Wait again for what a loaded frame was waiting for, or raise there what is thrown in at once."""
    try:
        yield STANDING
    except GeneratorExit:
        raise
    except BaseException as error:
        if not isinstance(awaited, Frame):
            raise
        thrown = error
    else:
        return (yield from awaited.__await__())
    return (yield from awaited.throwing(thrown))


def again(iterator: Iterator[Any]) -> Iterator[Any]:
    """Return an iterator whose first turn takes nothing from `iterator`."""
    return itertools.chain((None,), iterator)


class Scope:
    """The context manager of a `with`: enters only the first time, and leaves only while the frame runs."""

    __slots__ = ("_control", "_manager", "_resuming")

    def __init__(self, control: Control, manager: Any, resuming: int) -> None:
        kind = type(manager)
        if not hasattr(kind, "__enter__") or not hasattr(kind, "__exit__"):
            raise TypeError(f"'{kind.__name__}' object does not support the context manager protocol")
        self._control = control
        self._manager = manager
        self._resuming = resuming

    def __enter__(self) -> Any:
        return None if self._resuming else type(self._manager).__enter__(self._manager)

    def __exit__(self, *raised: Any) -> Any:
        return self._control.running and type(self._manager).__exit__(self._manager, *raised)


def async_manager(manager: Any) -> Any:
    """Return `manager` if `async with` takes it."""
    kind = type(manager)
    if not hasattr(kind, "__aenter__") or not hasattr(kind, "__aexit__"):
        raise TypeError(f"'{kind.__name__}' object does not support the asynchronous context manager protocol")
    return manager


def aenter(manager: Any) -> Any:
    return type(manager).__aenter__(manager)


def aexit(manager: Any, error: BaseException | None = None) -> Any:
    if error is None:
        return type(manager).__aexit__(manager, None, None, None)
    return type(manager).__aexit__(manager, type(error), error, error.__traceback__)


def async_iterator(iterable: Any) -> Any:
    kind = type(iterable)
    if not hasattr(kind, "__aiter__"):
        raise TypeError(f"'async for' requires an object with __aiter__ method, got {kind.__name__}")
    iterator = kind.__aiter__(iterable)
    if not hasattr(type(iterator), "__anext__"):
        raise TypeError(
            f"'async for' received an object from __aiter__ that does not implement __anext__: "
            f"{type(iterator).__name__}"
        )
    return iterator


def anext_of(iterator: Any) -> Any:
    return type(iterator).__anext__(iterator)


def append(found: list[Any], item: Any) -> None:
    found.append(item)


def add(found: set[Any], item: Any) -> None:
    found.add(item)


def put(found: dict[Any, Any], key: Any, value: Any) -> None:
    found[key] = value


def converted(value: Any, conversion: str) -> str:
    if conversion == "r":
        return repr(value)
    return ascii(value) if conversion == "a" else str(value)


def authors_locals(found: Any) -> Any:
    """Return what `locals()` shows without names of the compiler; what an author's own `locals()` returns is left."""
    if type(found) is not dict or not any(isinstance(name, str) and name.startswith(".") for name in found):
        return found
    return {name: value for name, value in found.items() if not name.startswith(".")}


HELPERS: dict[str, Any] = {
    ".AssertionError": AssertionError,
    ".BaseException": BaseException,
    ".StopAsyncIteration": StopAsyncIteration,
    ".add": add,
    ".aenter": aenter,
    ".aexit": aexit,
    ".again": again,
    ".aiter": async_iterator,
    ".anext": anext_of,
    ".append": append,
    ".async_manager": async_manager,
    ".convert": converted,
    ".iter": iterate,
    ".locals": authors_locals,
    ".put": put,
    ".scope": Scope,
    ".set": set,
    ".slice": slice,
    ".standing": standing,
}
"""Beside these, each function has its own `.adapted`, `.pause`, `.is_pause` and `.inner`, each frame its `.control`."""
