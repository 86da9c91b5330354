"""Whether a JSON value fits a JSON Schema: the part of the language that schemas made of type hints use.

Whoever answers a question is told at once what is wrong, in a process that need not have the code that asked. What this
does not know it allows: the code decodes the answer by its type, and has the last word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}
_FORMATS = {
    "date": date,
    "date-time": datetime,
    "time": time,
    "duration": timedelta,
    "uuid": UUID,
    "decimal": Decimal,
}
_DEEPEST = 100


def misfits(value: Any, schema: dict[str, Any]) -> str | None:
    """Return what is wrong with a value, as a sentence with its place; None where it fits."""
    return next(_wrong(value, schema, schema.get("$defs", {}), "", 0), None)


def _wrong(value: Any, schema: dict[str, Any], shared: dict[str, Any], place: str, level: int) -> Iterator[str]:
    if level > _DEEPEST:
        yield f"{_at(place)} is nested too deep."
        return
    if "$ref" in schema:
        schema = shared.get(str(schema["$ref"]).removeprefix("#/$defs/"), {})
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        reasons = [next(_wrong(value, each, shared, place, level + 1), None) for each in options]
        if None not in reasons:
            # Beside null there is mostly one thing that it can be.
            others = (text for text, each in zip(reasons, options, strict=True) if each.get("type") != "null")
            yield next(others, None) or f"{_at(place)} fits nothing that it can be."
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{_at(place)} is {value!r:.60}, expected one of {', '.join(map(repr, schema['enum']))}."
    if "const" in schema and value != schema["const"]:
        yield f"{_at(place)} is {value!r:.60}, expected {schema['const']!r}."
    kind = schema.get("type")
    if isinstance(kind, str) and not _is_a(kind, value):
        yield f"{_at(place)} is {_name_of(value)}, expected {kind}."
        return
    match value:
        case str():
            yield from _wrong_text(value, schema, place)
        case bool():
            pass
        case int() | float():
            yield from _wrong_number(value, schema, place)
        case list():
            yield from _wrong_items(value, schema, shared, place, level)
        case dict():
            yield from _wrong_members(value, schema, shared, place, level)


def _is_a(kind: str, value: Any) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES.get(kind, object))


def _name_of(value: Any) -> str:
    return next((name for name in _TYPES if _is_a(name, value)), type(value).__name__)


def _wrong_text(value: str, schema: dict[str, Any], place: str) -> Iterator[str]:
    if (kind := _FORMATS.get(schema.get("format", ""))) is not None:
        try:
            msgspec.convert(value, kind)
        except (msgspec.ValidationError, ValueError):
            yield f"{_at(place)} is {value!r:.60}, expected a {schema['format']}."
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f"{_at(place)} has {len(value)} characters, expected another length."
    if "pattern" in schema and re.search(schema["pattern"], value) is None:
        yield f"{_at(place)} is {value!r:.60}, expected text like {schema['pattern']}."


def _wrong_number(value: float, schema: dict[str, Any], place: str) -> Iterator[str]:
    if value < schema.get("minimum", value) or value <= schema.get("exclusiveMinimum", value - 1):
        yield f"{_at(place)} is {value}, which is too small."
    if value > schema.get("maximum", value) or value >= schema.get("exclusiveMaximum", value + 1):
        yield f"{_at(place)} is {value}, which is too large."


def _wrong_items(
    value: list[Any], schema: dict[str, Any], shared: dict[str, Any], place: str, level: int
) -> Iterator[str]:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        yield f"{_at(place)} has {len(value)} items, expected another number."
    first = schema.get("prefixItems", ())
    for number, each in enumerate(value):
        rest = schema.get("items")
        of_item = first[number] if number < len(first) else rest
        if isinstance(of_item, dict):
            yield from _wrong(each, of_item, shared, f"{place}[{number}]", level + 1)


def _wrong_members(
    value: dict[str, Any], schema: dict[str, Any], shared: dict[str, Any], place: str, level: int
) -> Iterator[str]:
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{_at(place)} has no {name!r}, which is required."
    properties, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name, each in value.items():
        inner = f"{place}.{name}" if place else name
        if name in properties:
            yield from _wrong(each, properties[name], shared, inner, level + 1)
        elif isinstance(others, dict):
            yield from _wrong(each, others, shared, inner, level + 1)
        elif others is False:
            yield f"{_at(inner)} is not known."


def _at(place: str) -> str:
    return repr(place) if place else "The value"
