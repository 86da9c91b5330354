"""Values as what JSON has: the hook for classes the encoder does not know, and the slow way that knows places."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

import msgspec
from django.utils.functional import LazyObject, Promise

from ..engine.errors import PayloadError

TOO_DEEP = "{what} is nested too deeply, or contains itself. Flatten it, or pass the key of a stored object."
_SCALARS = (datetime, date, time, timedelta, Decimal, UUID, bytes, bytearray, memoryview)
_text: Callable[[Any], bytes] = msgspec.json.Encoder(order="sorted").encode


def simplify(value: Any) -> Any:
    """Return an object of a class the encoder does not know as one it knows; the encoder goes on with that.

    Raises: PayloadError: the class is not one that can be a payload.
    """
    if isinstance(value, LazyObject):
        # What its pickle would hold: the object itself. `request.user` is one of these.
        return value.__reduce__()[1][0]
    match value:
        case Promise() | PurePath():
            return str(value)
        case str():
            return str.__str__(value)
        case int():
            return int(value)
        case float():
            return float(value)
        case bytes():
            return bytes(value)
        case Decimal():
            return Decimal(value)
        case UUID():
            return UUID(int=value.int)
        case timedelta():
            return timedelta(value.days, value.seconds, value.microseconds)
        case datetime():
            # From its parts, because subclasses (freezegun, pendulum) return themselves from most methods.
            moment = (value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond)
            return datetime(*moment, tzinfo=value.tzinfo, fold=value.fold)
        case date():
            return date(value.year, value.month, value.day)
        case time():
            return time(value.hour, value.minute, value.second, value.microsecond, value.tzinfo)
        case deque() | range():
            return list(value)
        case Mapping():
            return dict(value)
        case Set():
            return frozenset(value)
    if (serializer := getattr(type(value), "__pydantic_serializer__", None)) is not None:
        return _pydantic(serializer, value)
    raise PayloadError(_refusal(value))


def _pydantic(serializer: Any, value: Any) -> Any:
    options = {"by_alias": True, "round_trip": True}
    written = serializer.to_python(value, mode="json", **options)
    return _with_sorted_sets(written, serializer.to_python(value, mode="python", **options))


def _with_sorted_sets(written: Any, meant: Any) -> Any:
    """Sort the lists that pydantic made of sets, in the order in which this process happens to iterate them."""
    match written, meant:
        case dict(), dict():
            return {name: _with_sorted_sets(item, meant.get(name)) for name, item in written.items()}
        case list(), Set():
            return sorted(written, key=_text)
        case list(), list() | tuple() if len(written) == len(meant):
            return [_with_sorted_sets(*pair) for pair in zip(written, meant, strict=True)]
    return written


def holds_set_of_sets(value: Any) -> bool:
    """Tell whether a set holds sets (or tuples, which may): `<` does not order these, so a sort of them is no order."""
    rest = [value]
    while rest:
        item = rest.pop()
        match item:
            case set() | frozenset():
                if any(isinstance(each, frozenset | tuple) for each in item):
                    return True
                continue
            case dict():
                inner: Iterable[Any] = item.values()
            case list() | tuple():
                inner = item
            case _:
                inner = (_members(item) or {}).values()
        rest.extend(each for each in inner if type(each) not in _FLAT)
    return False


_FLAT = frozenset({str, int, float, bool, type(None), bytes, *_SCALARS})


def plain(value: Any, what: str) -> Any:
    """Return a value as dicts with sorted text keys, lists, text, numbers, booleans and `None`.

    Raises: PayloadError: with the place (`$.items[2].price`) and what to pass instead.
    """
    try:
        return _plain(value, what, "$")
    except RecursionError:
        raise PayloadError(TOO_DEEP.format(what=what)) from None


def _plain(value: Any, what: str, path: str) -> Any:
    if isinstance(value, LazyObject):
        return _plain(simplify(value), what, path)
    match value:
        case None | bool():
            return value
        case Enum():
            return _plain(value.value, what, path)
        case str():
            return _checked_text(str.__str__(value), what, path)
        case int():
            return _checked_integer(int(value), what, path)
        case float():
            if math.isfinite(value):
                return float(value)
            raise _refused(what, path, f"{value!r}, which JSON cannot hold. Pass None, or text")
        case Mapping():
            return _mapping(value, what, path)
        case list() | tuple() | deque() | range():
            return [_plain(item, what, f"{path}[{index}]") for index, item in enumerate(value)]
        case Set():
            return sorted((_plain(item, what, f"{path}{{}}") for item in value), key=_text)
    if isinstance(value, _SCALARS):
        return msgspec.to_builtins(value, enc_hook=simplify)
    return _object(value, what, path)


def _object(value: Any, what: str, path: str) -> Any:
    members = _members(value)
    if members is not None:
        found = {name: _plain(item, what, f"{path}.{name}") for name, item in members.items()}
        config = getattr(type(value), "__struct_config__", None)
        return list(found.values()) if config is not None and config.array_like else found
    try:
        simple = simplify(value)
    except PayloadError as error:
        raise _refused(what, path, str(error)) from None
    except (TypeError, ValueError) as error:
        raise _refused(what, path, f"{_name(value)}, whose serializer failed ({error})") from error
    return _plain(simple, what, path)


def _members(value: Any) -> dict[str, Any] | None:
    """Return what a dataclass, attrs or msgspec object is written with, `None` for anything else."""
    kind = type(value)
    if isinstance(value, msgspec.Struct):
        config = kind.__struct_config__
        tag = {} if config.tag is None else {config.tag_field: config.tag}
        names = zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True)
        return tag | {written: getattr(value, name) for written, name in names}
    if (fields := getattr(kind, "__dataclass_fields__", None)) is None:
        fields = [each.name for each in getattr(kind, "__attrs_attrs__", ())] or None
    return None if fields is None else {name: getattr(value, name) for name in fields if hasattr(value, name)}


def _mapping(value: Mapping[Any, Any], what: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in value.items():
        name = _key(key, what, path)
        if name in found:
            raise _refused(what, path, f"a mapping in which two keys are {name!r} as text. Use keys of one type")
        found[name] = _plain(item, what, f"{path}.{name}")
    return found


def _key(key: Any, what: str, path: str) -> str:
    simple = _plain(key, what, path)
    if isinstance(simple, str):
        return simple
    if isinstance(simple, int) and not isinstance(simple, bool):
        return str(simple)
    raise _refused(
        what,
        path,
        f"a mapping with the key {key!r:.80} ({type(key).__name__}). Use text, whole numbers, dates or UUIDs",
    )


def _checked_text(value: str, what: str, path: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        reason = f"text with half of a surrogate pair ({value!a:.80}), which is not Unicode. Decode it again"
        raise _refused(what, path, reason) from None
    return value


def _checked_integer(value: int, what: str, path: str) -> int:
    try:
        str(value)
    except ValueError:
        raise _refused(
            what, path, "a whole number of more digits than Python writes as text. Pass it as bytes"
        ) from None
    return value


def _refusal(value: Any) -> str:
    kind, name = type(value), _name(value)
    if hasattr(kind, "_meta") and hasattr(value, "pk"):
        return (
            f"a model instance ({name}). Its fields would be stale by the time they are read: pass its pk and load "
            f"it again where it is used"
        )
    if hasattr(value, "query") and hasattr(value, "values_list"):
        return (
            f"a queryset ({name}). Pass what is needed of its rows, for example list(rows.values_list('pk', flat=True))"
        )
    if hasattr(value, "__await__"):
        return f"an awaitable ({name}). Await or yield it, and pass its value"
    if isinstance(value, Iterator):
        return f"an iterator ({name}). Pass list(...) of it"
    return (
        f"an object of {name}, which JSON has no word for. Make it a dataclass, a TypedDict or a pydantic model, or "
        f"pass its parts"
    )


def _name(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _refused(what: str, path: str, reason: str) -> PayloadError:
    place = "" if path == "$" else f" at {path}"
    return PayloadError(f"{what} cannot be encoded as JSON: found{place} {reason}.")
