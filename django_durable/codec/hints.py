"""Reading type hints: those of a function, and what stands inside one."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Annotated, Any, TypeVar, get_args, get_origin
from uuid import UUID

_UNRESOLVED = (NameError, AttributeError, TypeError, SyntaxError)
_SCALARS = (str, int, float, bytes, bytearray, date, time, timedelta, Decimal, UUID, Enum, PurePath, types.NoneType)


def resolved_hints(function: Callable[..., Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the hints that can be resolved, and the text of those that cannot (imported for type checkers only)."""
    try:
        return typing.get_type_hints(function, include_extras=True), {}
    except _UNRESOLVED:
        pass
    resolved: dict[str, Any] = {}
    unresolved: dict[str, str] = {}
    for name, hint in _annotations(function).items():
        try:
            resolved[name] = _resolve(function, name, hint)
        except _UNRESOLVED:
            unresolved[name] = hint if isinstance(hint, str) else getattr(hint, "__forward_arg__", repr(hint))
    return resolved, unresolved


def _annotations(function: Callable[..., Any]) -> dict[str, Any]:
    if sys.version_info >= (3, 14):
        import annotationlib

        return annotationlib.get_annotations(function, format=annotationlib.Format.FORWARDREF)
    return function.__annotations__


def _resolve(function: Callable[..., Any], name: str, hint: Any) -> Any:
    def holder() -> None: ...

    holder.__annotations__ = {name: hint}
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return typing.get_type_hints(holder, globalns=getattr(function, "__globals__", {}), include_extras=True)[name]


def result_hint(hint: Any) -> Any:
    """Return the hint of what a function returns in the end; for a generator the value it returns."""
    origin, args = get_origin(hint) or hint, get_args(hint)
    if origin is Generator:
        return args[2] if len(args) == 3 else Any
    return Any if origin in (Iterator, Iterable, AsyncIterator) else hint


def takes_object(hint: Any) -> bool:
    """Tell whether a value of this hint may be a JSON object; unknown classes may."""
    hint = unwrapped(hint)
    if get_origin(hint) in (typing.Union, types.UnionType):
        return any(takes_object(member) for member in get_args(hint))
    kind = get_origin(hint) or hint
    if kind is typing.Literal:
        return False
    if not isinstance(kind, type) or kind is object or hasattr(kind, "__pydantic_validator__"):
        return True
    return not issubclass(kind, _SCALARS) and (issubclass(kind, Mapping) or not issubclass(kind, Iterable))


def is_anything(hint: Any) -> bool:
    """Tell whether a hint allows every value. `None` does: a result the hint calls so is nobody's to refuse."""
    try:
        return hint in _ANYTHING
    except TypeError:
        return False


_ANYTHING: frozenset[Any] = frozenset({Any, object, None, types.NoneType, typing.NoReturn, typing.Never})


def describe(hint: Any) -> str:
    """Return a hint as it is written in code."""
    return hint.__qualname__ if isinstance(hint, type) and not get_args(hint) else str(hint).replace("typing.", "")


def unwrapped(hint: Any) -> Any:
    """Return what stands inside Annotated, NewType, a `type` alias, Required, NotRequired, ReadOnly, Final."""
    while True:
        if isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        elif sys.version_info >= (3, 12) and isinstance(hint, typing.TypeAliasType):
            hint = hint.__value__
        elif get_origin(hint) in _WRAPPERS:
            hint = get_args(hint)[0]
        elif isinstance(hint, TypeVar):
            hint = hint.__bound__ or Any
        else:
            return hint


_WRAPPERS = {Annotated, typing.Required, typing.NotRequired, typing.Final, getattr(typing, "ReadOnly", Annotated)}
