"""JSON Schema of type hints, for forms and API documentation."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from datetime import datetime, time
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

DEFINITIONS = "#/$defs/{name}"
# Told only of those that must have an offset; the ones without are written in the same way.
_FORMATS = {datetime: "date-time", time: "time"}
_ARRAYS = frozenset({list, set, frozenset, tuple, Sequence})
_OBJECTS = frozenset({dict, Mapping})


def schema(hint: Any) -> dict[str, Any]:
    """Return the JSON Schema of a hint, shared parts under `$defs`; `{}`, which allows all, where it has none."""
    definitions: dict[str, Any] = {}

    def foreign(kind: Any) -> dict[str, Any]:
        made = getattr(get_origin(kind) or kind, "model_json_schema", None)
        if made is None:
            return {}
        found: dict[str, Any] = made(ref_template="#/$defs/{model}")
        definitions.update(found.pop("$defs", {}))
        return found

    try:
        (found,), components = msgspec.json.schema_components(
            [_told(hint)], schema_hook=foreign, ref_template=DEFINITIONS
        )
    except (TypeError, NameError, AttributeError):
        found, components = _composed(hint, definitions), {}
    definitions.update(components)
    return {**found, "$defs": definitions} if definitions else found


def _composed(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of what msgspec does not describe as a whole: a union of classes, or what holds one."""

    def part(of: Any) -> dict[str, Any]:
        found = schema(of)
        definitions.update(found.pop("$defs", {}))
        return found

    origin, members = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return part(members[0])
    if origin in (Union, types.UnionType):
        return {"anyOf": [part(each) for each in members]}
    if origin is tuple and members and members[-1] is not Ellipsis:
        return {"type": "array", "prefixItems": [part(each) for each in members], "minItems": len(members)}
    if origin in _ARRAYS and members:
        return {"type": "array", "items": part(members[0])}
    if origin in _OBJECTS and len(members) == 2:
        return {"type": "object", "additionalProperties": part(members[1])}
    return {}


def _told(hint: Any) -> Any:
    """Return a hint of a moment, or of one or something else, that says so in its schema."""
    if isinstance(hint, type) and hint in _FORMATS:
        return Annotated[hint, msgspec.Meta(extra_json_schema={"format": _FORMATS[hint]})]
    if get_origin(hint) in (Union, types.UnionType):
        return Union[tuple(_told(each) for each in get_args(hint))]  # noqa: UP007 - made of a tuple
    return hint
