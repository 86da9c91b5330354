"""Making objects of classes that the decoder does not know from plain JSON values."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator
from decimal import Decimal
from pathlib import PurePath
from typing import Any, get_args, get_origin
from uuid import UUID

import msgspec


def revive(kind: Any, value: Any) -> Any:
    """Make an object of a class the decoder does not know from plain JSON; the decoder checks the result's class.

    Raises: ValueError: what was wrong with the value. PayloadError: the class cannot be made from JSON.
    """
    args, kind = get_args(kind), get_origin(kind) or kind
    if (validator := getattr(kind, "__pydantic_validator__", None)) is not None:
        # As JSON, because strict models take text for a date only from JSON.
        return validator.validate_json(msgspec.json.encode(value))
    if not isinstance(kind, type):
        return value
    for plain, bases in _REVIVED:
        if issubclass(kind, bases) and isinstance(value, plain):
            made: Any = kind
            items = _with_items(plain, args, value)
            return made(None, items) if issubclass(kind, defaultdict) else made(items)
    if isinstance(value, kind):
        return value
    raise ValueError(_advice(kind))


def _with_items(plain: Any, args: tuple[Any, ...], value: Any) -> Any:
    """Decode the items of a `deque[Line]`, `OrderedDict[str, Line]` or `Counter[int]`."""
    if not args or plain not in (list, dict):
        return value
    wanted: Any = plain[args]
    if plain is dict and len(args) == 1:
        wanted = plain[(*args, int)]
    return msgspec.convert(value, wanted, dec_hook=revive, str_keys=True)


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
