"""Converters for hints that msgspec cannot compile: unions of classes, enums of other values, what holds these.

A union is decoded as the one member that its value fits: of classes, the one whose fields are exactly the keys.
Members that look alike in JSON (two classes with the same fields, `str | date`) are refused, not guessed.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, TypeVar, Union, get_args, get_origin
from uuid import UUID

import msgspec

from ..engine.errors import PayloadError
from .hints import describe, is_anything, unwrapped
from .revival import revive

Convert = Callable[[Any], Any]
"""Plain JSON value to value; raises msgspec.ValidationError where it does not fit."""

_TEXTUAL = (date, datetime, time, timedelta, Decimal, UUID, bytes, bytearray)
_CONTAINERS: dict[Any, Callable[[Any], Any]] = {
    list: list,
    set: set,
    frozenset: frozenset,
    tuple: tuple,
    get_origin(typing.Sequence[int]): list,
    get_origin(typing.Collection[int]): list,
    get_origin(typing.Iterable[int]): list,
    get_origin(typing.MutableSequence[int]): list,
    get_origin(typing.AbstractSet[int]): set,
    get_origin(typing.MutableSet[int]): set,
}


class Composer:
    """Makes the converter of one hint, part by part; every part that can be compiled is."""

    def __init__(self) -> None:
        # Classes whose converter is being made, so that one may refer to itself.
        self._making: dict[Any, list[Convert]] = {}

    def converter(self, hint: Any) -> Convert:
        """Return the converter of a hint.

        Raises: PayloadError: the hint cannot be told from JSON.
        """
        hint = unwrapped(hint)
        if is_anything(hint):
            # A member `None` of a union is null; elsewhere the hint says nothing.
            return _compiled(None if hint in (None, types.NoneType) else Any)
        try:
            msgspec.json.Decoder(hint)
        except TypeError as error:
            return self._composed(hint, error)
        except (NameError, AttributeError) as error:
            raise unusable(hint, f"{error}; a name in it cannot be resolved. Import it at run time") from error
        return _compiled(hint)

    def _composed(self, hint: Any, error: TypeError) -> Convert:
        origin, args = get_origin(hint) or hint, get_args(hint)
        if origin in (Union, types.UnionType):
            return self._union(hint, args)
        if origin is typing.LiteralString:
            return _compiled(str)
        if not isinstance(origin, type):
            raise unusable(hint, str(error))
        if issubclass(origin, Enum):
            return _enum(origin)
        if issubclass(origin, Mapping) and len(args) == 2:
            return self._mapping(origin, *args)
        if args and (made := _CONTAINERS.get(origin)):
            return self._tuple(args) if made is tuple and args[-1] is not ... else self._container(made, args[0])
        if (make := self._maker(origin)) is not None:
            return self._once(hint, lambda: make(origin, args))
        raise unusable(hint, str(error))

    def _maker(self, kind: type) -> Callable[[Any, tuple[Any, ...]], Convert] | None:
        if dataclasses.is_dataclass(kind):
            return self._dataclass
        if typing.is_typeddict(kind):
            return self._typed_dict
        if issubclass(kind, tuple) and hasattr(kind, "_fields"):
            return self._named_tuple
        return None

    def _once(self, hint: Any, make: Callable[[], Convert]) -> Convert:
        made = self._making.get(hint)
        if made is None:
            made = self._making[hint] = []
            made.append(make())
        return lambda value: made[0](value)

    def _container(self, made: Callable[[Any], Any], item: Any) -> Convert:
        convert = self.converter(item)
        return lambda value: made([convert(each) for each in _expect(value, list, "array")])

    def _tuple(self, items: tuple[Any, ...]) -> Convert:
        converts = [self.converter(item) for item in items]

        def convert(value: Any) -> Any:
            if len(_expect(value, list, "array")) != len(converts):
                raise msgspec.ValidationError(f"Expected `array` of length {len(converts)}, got {len(value)}")
            return tuple(each(item) for each, item in zip(converts, value, strict=True))

        return convert

    def _mapping(self, origin: Any, key: Any, item: Any) -> Convert:
        keys, items = _keys(key), self.converter(item)

        def convert(value: Any) -> Any:
            found = {name: items(each) for name, each in keys(_expect(value, dict, "object")).items()}
            return found if inspect.isabstract(origin) else revive(origin, found)

        return convert

    def _dataclass(self, kind: Any, args: tuple[Any, ...]) -> Convert:
        variables = dict(zip(getattr(kind, "__parameters__", ()), args, strict=False))
        hints = _hints(kind)
        fields = [each for each in dataclasses.fields(kind) if each.init]
        converts = {each.name: self.converter(_substituted(hints[each.name], variables)) for each in fields}
        required = {each.name for each in fields if each.default is each.default_factory is dataclasses.MISSING}
        return lambda value: _made(kind, **_fields(value, converts, required))

    def _typed_dict(self, kind: Any, args: tuple[Any, ...]) -> Convert:
        hints = _hints(kind)
        converts = {name: self.converter(hint) for name, hint in hints.items()}
        # Not `__required_keys__` alone: it does not see NotRequired in an annotation that is text.
        required = {name for name in kind.__required_keys__ if get_origin(hints[name]) is not typing.NotRequired}
        required |= {name for name, hint in hints.items() if get_origin(hint) is typing.Required}
        return lambda value: _fields(value, converts, required)

    def _named_tuple(self, kind: Any, args: tuple[Any, ...]) -> Convert:
        hints = _hints(kind)
        converts = [self.converter(hints.get(name, Any)) for name in kind._fields]

        def convert(value: Any) -> Any:
            items = zip(converts, _expect(value, list, "array"), strict=False)
            return _made(kind, *(each(item) for each, item in items))

        return convert

    def _union(self, hint: Any, members: tuple[Any, ...]) -> Convert:
        _refuse_ambiguous(hint, members)
        candidates = [(self.converter(member), field_names(member)) for member in members]

        def convert(value: Any) -> Any:
            fits: list[tuple[int, Any]] = []
            for attempt, names in candidates:
                try:
                    found = attempt(value)
                except ValueError:
                    continue
                by_name = names is not None and isinstance(value, dict)
                fits.append((len(names.symmetric_difference(value)) if names and by_name else 0, found))
            if not fits:
                raise msgspec.ValidationError(f"Expected `{describe(hint)}`, got `{type(value).__name__}`")
            return _closest(fits)

        return convert


def _compiled(hint: Any) -> Convert:
    return lambda value: msgspec.convert(value, hint, dec_hook=revive, str_keys=True)


def _keys(key: Any) -> Convert:
    """Return what converts the keys of an object, which are text."""
    hint = dict[key, Any]
    try:
        msgspec.json.Decoder(hint)
    except TypeError as error:
        if isinstance(key, type) and issubclass(key, Enum):
            return _enum_keys(key)
        raise unusable(key, str(error)) from error
    return _compiled(hint)


def _enum_keys(kind: type[Enum]) -> Convert:
    members = {next(iter(msgspec.json.decode(msgspec.json.encode({member: None})))): member for member in kind}
    if len(members) < len(kind):
        raise unusable(kind, "as keys, several of its members are the same text")

    def convert(value: Any) -> Any:
        if unknown := [name for name in value if name not in members]:
            raise msgspec.ValidationError(f"Invalid enum value {unknown[0]!r:.80}")
        return {members[name]: item for name, item in value.items()}

    return convert


def _made(kind: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return kind(*args, **kwargs)
    except (TypeError, ValueError) as error:
        raise msgspec.ValidationError(str(error)) from error


def _enum(kind: type[Enum]) -> Convert:
    members = {msgspec.json.encode(member): member for member in kind}

    def convert(value: Any) -> Any:
        try:
            return members[msgspec.json.encode(value)]
        except KeyError:
            raise msgspec.ValidationError(f"Invalid enum value {value!r:.80}") from None

    return convert


def _substituted(hint: Any, variables: Mapping[Any, Any]) -> Any:
    """Return a hint of a generic class with its type variables filled in."""
    if isinstance(hint, TypeVar):
        return variables.get(hint, hint)
    parameters = getattr(hint, "__parameters__", ())
    return hint[tuple(variables.get(each, each) for each in parameters)] if parameters else hint


def _fields(value: Any, converts: Mapping[str, Convert], required: Any) -> dict[str, Any]:
    given = _expect(value, dict, "object")
    if missing := sorted(set(required) - set(given)):
        raise msgspec.ValidationError(f"Object missing required field `{missing[0]}`")
    return {name: convert(given[name]) for name, convert in converts.items() if name in given}


def _closest(fits: list[tuple[int, Any]]) -> Any:
    least = min(distance for distance, _ in fits)
    first, *others = [found for distance, found in fits if distance == least]
    if any(type(other) is not type(first) for other in others):
        names = " and ".join(type(each).__qualname__ for each in (first, *others))
        raise msgspec.ValidationError(
            f"The value fits {names} alike; give each a field of its own, for example kind: Literal['...']"
        )
    return first


def _refuse_ambiguous(hint: Any, members: tuple[Any, ...]) -> None:
    """Refuse text next to what is written as text: which of the two a value was could not be told."""
    kinds = [unwrapped(member) for member in members]
    text = [kind for kind in kinds if kind in (str, bytes, bytearray)]
    textual = [kind for kind in kinds if kind in _TEXTUAL or (isinstance(kind, type) and issubclass(kind, Enum))]
    if text and (len(text) > 1 or any(kind not in text for kind in textual)):
        raise unusable(
            hint,
            "its members are all written as text and could not be told apart. Use one of them, or "
            "a dataclass with a field for each",
        )


def field_names(hint: Any) -> frozenset[str] | None:
    """Return the keys with which a class is written, `None` for what is not written as an object of known keys."""
    kind = get_origin(unwrapped(hint)) or unwrapped(hint)
    if not isinstance(kind, type):
        return None
    if dataclasses.is_dataclass(kind):
        return frozenset(each.name for each in dataclasses.fields(kind))
    if issubclass(kind, msgspec.Struct):
        tag = kind.__struct_config__.tag_field
        return frozenset(kind.__struct_encode_fields__) | ({tag} if tag else frozenset())
    if typing.is_typeddict(kind):
        return frozenset(kind.__annotations__)
    if (fields := getattr(kind, "__pydantic_fields__", None)) is not None:
        return frozenset(each.alias or name for name, each in fields.items())
    return None


def _expect(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind):
        raise msgspec.ValidationError(f"Expected `{name}`, got `{type(value).__name__}`")
    return value


def _hints(kind: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(kind, include_extras=True)
    except (NameError, AttributeError, TypeError) as error:
        raise unusable(kind, f"{error}; a name in it cannot be resolved. Import it at run time") from error


def unusable(hint: Any, reason: str) -> PayloadError:
    """Return the error for a hint that cannot be told from JSON."""
    return PayloadError(f"The type hint {describe(hint)} cannot be used for a payload: {reason}.")
