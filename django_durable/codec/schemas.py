"""JSON Schema of type hints, for forms and API documentation."""

from __future__ import annotations

from typing import Any, get_origin

import msgspec

DEFINITIONS = "#/$defs/{name}"


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
        (found,), components = msgspec.json.schema_components([hint], schema_hook=foreign, ref_template=DEFINITIONS)
    except (TypeError, NameError, AttributeError):
        return {}
    definitions.update(components)
    return {**found, "$defs": definitions} if definitions else found
