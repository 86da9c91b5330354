"""Decoders by type hint: compiled ones, and converters for the hints that cannot be compiled.

A union is decoded as the one member that its value fits: of classes, the one whose fields are exactly the keys.
Members that look alike in JSON (two classes with the same fields, `str | date`) are refused, not guessed.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import types
import typing
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin
from uuid import UUID

import msgspec

from ..engine.errors import PayloadError
from ..engine.events import Payload

Decode = Callable[[Payload, str], Any]
"""`(payload, what) -> value`; `what` starts the sentence of a PayloadError."""

Convert = Callable[[Any], Any]
"""Plain JSON value to value; raises msgspec.ValidationError where it does not fit."""

_TEXTUAL = (date, datetime, time, timedelta, Decimal, UUID, bytes, bytearray)
_ANYTHING: frozenset[Any] = frozenset({Any, object, None, types.NoneType, typing.NoReturn, typing.Never})
"""Hints that allow everything. `None` is one: a result the hint calls `None` is nobody's business to refuse."""


def compile_decoder(hint: Any) -> Decode:
    """Return a decoder for a type hint.

    Raises: PayloadError: the hint cannot be told from JSON; the message says which part and why.
    """
    wanted = Any if _is_anything(hint) else hint
    compiled: Callable[[Payload], Any]
    try:
        compiled = msgspec.json.Decoder(wanted, dec_hook=revive).decode
    except TypeError:
        compiled = _two_steps(_converter(wanted))
    except (NameError, AttributeError) as error:
        raise _unusable(hint, f"{error}; a name in it cannot be resolved. Import it at run time") from error
    name = describe(hint)

    def decode(payload: Payload, what: str) -> Any:
        try:
            return compiled(payload)
        except msgspec.ValidationError as error:
            raise PayloadError(f"{what} is not a valid {name}: {error}. Pass what the type hint says.") from error
        except (msgspec.DecodeError, UnicodeError) as error:
            raise PayloadError(f"{what} is not JSON: {error}.") from error
        except RecursionError:
            raise PayloadError(f"{what} is nested too deeply to be decoded. Flatten it.") from None

    return decode


def describe(hint: Any) -> str:
    """Return a hint as it is written in code."""
    return hint.__qualname__ if isinstance(hint, type) and not get_args(hint) else str(hint).replace("typing.", "")


def revive(kind: Any, value: Any) -> Any:
    """Make an object of a class the decoder does not know from plain JSON; the decoder checks the result's class.

    Raises: ValueError: what was wrong with the value. PayloadError: the class cannot be made from JSON.
    """
    kind = get_origin(kind) or kind
    if (validator := getattr(kind, "__pydantic_validator__", None)) is not None:
        # As JSON, because strict models take text for a date only from JSON.
        return validator.validate_json(msgspec.json.encode(value))
    if not isinstance(kind, type):
        return value
    if issubclass(kind, defaultdict) and isinstance(value, dict):
        return kind(None, value)
    for plain, bases in _REVIVED:
        if issubclass(kind, bases) and isinstance(value, plain):
            made: Any = kind
            return made(value)
    if isinstance(value, kind):
        return value
    raise ValueError(_advice(kind))


_REVIVED: tuple[tuple[type, tuple[type, ...]], ...] = (
    (str, (str, PurePath, UUID, Decimal)),
    (int, (int, float, Decimal)),
    (float, (float, Decimal)),
    (list, (list, tuple, set, frozenset, deque)),
    (dict, (dict, OrderedDict)),
)


def unmakeable(hint: Any) -> list[str]:
    """Return why values of a hint cannot be made from JSON, one reason per class in it that stands in the way."""
    try:
        found = _custom_types(msgspec.inspect.type_info(hint), set())
    except (TypeError, NameError, AttributeError):
        return [reason for each in get_args(hint) for reason in unmakeable(each)]
    kinds = [get_origin(kind) or kind for kind in found]
    return [_advice(kind) for kind in kinds if isinstance(kind, type) and not _is_makeable(kind)]


def _is_makeable(kind: type) -> bool:
    return hasattr(kind, "__pydantic_validator__") or any(issubclass(kind, bases) for _, bases in _REVIVED)


def _custom_types(node: Any, seen: set[Any]) -> Iterator[Any]:
    if isinstance(node, msgspec.inspect.CustomType):
        yield node.cls
    kind = getattr(node, "cls", None)
    if kind is not None and kind in seen:
        return
    seen.add(kind)
    for name in getattr(node, "__struct_fields__", ()):
        item = getattr(node, name)
        for each in item if isinstance(item, tuple) else (item,):
            if isinstance(each, msgspec.inspect.Type | msgspec.inspect.Field):
                yield from _custom_types(each, seen)


def _advice(kind: type) -> str:
    if hasattr(kind, "_meta") and hasattr(kind, "DoesNotExist"):
        return f"{kind.__qualname__} is a model, and a payload has no model instances: take its pk (int) and load it"
    return f"{kind.__qualname__} cannot be made from JSON: use a dataclass, a TypedDict or a pydantic model"


def _two_steps(convert: Convert) -> Callable[[Payload], Any]:
    parse = msgspec.json.Decoder().decode
    return lambda payload: convert(parse(payload))


def _is_anything(hint: Any) -> bool:
    try:
        return hint in _ANYTHING
    except TypeError:
        return False


def _converter(hint: Any) -> Convert:
    """Return a converter from plain JSON values for a hint, part by part."""
    hint = unwrapped(hint)
    if _is_anything(hint):
        return _compiled(type(None) if hint in (None, types.NoneType) else Any)
    try:
        msgspec.json.Decoder(hint)
    except TypeError as error:
        return _composed(hint, error)
    except (NameError, AttributeError) as error:
        raise _unusable(hint, f"{error}; a name in it cannot be resolved. Import it at run time") from error
    return _compiled(hint)


def _compiled(hint: Any) -> Convert:
    return lambda value: msgspec.convert(value, hint, dec_hook=revive, str_keys=True)


def _composed(hint: Any, error: TypeError) -> Convert:
    origin, args = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, types.UnionType):
        return _union(hint, args)
    if origin is typing.LiteralString:
        return _compiled(str)
    if not isinstance(origin, type):
        raise _unusable(hint, str(error))
    if issubclass(origin, Enum):
        return _enum(origin)
    if dataclasses.is_dataclass(origin):
        return _dataclass(origin, args)
    if typing.is_typeddict(origin):
        return _typed_dict(origin)
    if issubclass(origin, tuple) and hasattr(origin, "_fields"):
        return _named_tuple(origin)
    if issubclass(origin, Mapping) and len(args) == 2:
        return _mapping(origin, *args)
    if args and (made := _CONTAINERS.get(origin)):
        return _tuple(args) if made is tuple and args[-1] is not ... else _container(made, args[0])
    raise _unusable(hint, str(error))


_CONTAINERS: dict[Any, Callable[[Any], Any]] = {
    list: list,
    set: set,
    frozenset: frozenset,
    tuple: tuple,
    typing.get_origin(typing.Sequence[int]): list,
    typing.get_origin(typing.Collection[int]): list,
    typing.get_origin(typing.Iterable[int]): list,
    typing.get_origin(typing.MutableSequence[int]): list,
    typing.get_origin(typing.AbstractSet[int]): set,
    typing.get_origin(typing.MutableSet[int]): set,
}


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


def _container(made: Callable[[Any], Any], item: Any) -> Convert:
    convert = _converter(item)
    return lambda value: made([convert(each) for each in _expect(value, list, "array")])


def _tuple(items: tuple[Any, ...]) -> Convert:
    converts = [_converter(item) for item in items]

    def convert(value: Any) -> Any:
        if len(_expect(value, list, "array")) != len(converts):
            raise msgspec.ValidationError(f"Expected `array` of length {len(converts)}, got {len(value)}")
        return tuple(each(item) for each, item in zip(converts, value, strict=True))

    return convert


def _mapping(origin: Any, key: Any, item: Any) -> Convert:
    keys, items = _compiled(dict[key, Any]), _converter(item)

    def convert(value: Any) -> Any:
        found = {name: items(each) for name, each in keys(_expect(value, dict, "object")).items()}
        return found if inspect.isabstract(origin) else revive(origin, found)

    return convert


def _enum(kind: type[Enum]) -> Convert:
    members = {msgspec.json.encode(member): member for member in kind}

    def convert(value: Any) -> Any:
        try:
            return members[msgspec.json.encode(value)]
        except KeyError:
            raise msgspec.ValidationError(f"Invalid enum value {value!r:.80}") from None

    return convert


def _dataclass(kind: type, args: tuple[Any, ...]) -> Convert:
    variables = dict(zip(getattr(kind, "__parameters__", ()), args, strict=False))
    hints = _hints(kind)
    fields = [each for each in dataclasses.fields(kind) if each.init]
    converts = {each.name: _converter(_substituted(hints[each.name], variables)) for each in fields}
    required = {
        each.name
        for each in fields
        if each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
    }
    return lambda value: kind(**_fields(value, converts, required))


def _substituted(hint: Any, variables: Mapping[Any, Any]) -> Any:
    """Return a hint of a generic class with its type variables filled in."""
    if isinstance(hint, TypeVar):
        return variables.get(hint, hint)
    parameters = getattr(hint, "__parameters__", ())
    return hint[tuple(variables.get(each, each) for each in parameters)] if parameters else hint


def _typed_dict(kind: Any) -> Convert:
    converts = {name: _converter(hint) for name, hint in _hints(kind).items()}
    return lambda value: _fields(value, converts, kind.__required_keys__)


def _named_tuple(kind: Any) -> Convert:
    hints = _hints(kind)
    converts = [_converter(hints.get(name, Any)) for name in kind._fields]
    return lambda value: kind(
        *(each(item) for each, item in zip(converts, _expect(value, list, "array"), strict=False))
    )


def _fields(value: Any, converts: Mapping[str, Convert], required: Any) -> dict[str, Any]:
    given = _expect(value, dict, "object")
    if missing := sorted(set(required) - set(given)):
        raise msgspec.ValidationError(f"Object missing required field `{missing[0]}`")
    return {name: convert(given[name]) for name, convert in converts.items() if name in given}


def _union(hint: Any, members: tuple[Any, ...]) -> Convert:
    _refuse_ambiguous(hint, members)
    candidates = [(member, _converter(member), field_names(member)) for member in members]

    def convert(value: Any) -> Any:
        fits: list[tuple[int, Any]] = []
        for _, attempt, names in candidates:
            try:
                found = attempt(value)
            except (ValueError, TypeError):
                continue
            distance = len(names.symmetric_difference(value)) if names is not None and isinstance(value, dict) else 0
            fits.append((distance, found))
        if not fits:
            raise msgspec.ValidationError(f"Expected `{describe(hint)}`, got `{type(value).__name__}`")
        return _closest(hint, fits)

    return convert


def _closest(hint: Any, fits: list[tuple[int, Any]]) -> Any:
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
        raise _unusable(
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
        return frozenset(kind.__struct_encode_fields__)
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
        raise _unusable(kind, f"{error}; a name in it cannot be resolved. Import it at run time") from error


def _unusable(hint: Any, reason: str) -> PayloadError:
    return PayloadError(f"The type hint {describe(hint)} cannot be used for a payload: {reason}.")
