"""Form fields of an orchestration's parameters, made of their JSON Schema. What is no scalar is asked for as JSON."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _, gettext_lazy

from .text import NOTHING

_NULL = {"type": "null"}
_DEEPEST = 4
"""Levels of an example: schemas may refer to themselves."""


class JsonField(forms.CharField):
    """One JSON value in a text area. `schema_text` is shown beside it where something is known of the value."""

    schema_text = ""

    def __init__(self, **options: Any) -> None:
        looks = {"rows": 6, "cols": 60, "class": "vLargeTextField durable-code", "spellcheck": "false"}
        super().__init__(widget=forms.Textarea(attrs=looks), **options)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            return json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise ValidationError(_("This is not JSON: %(error)s") % {"error": error}, code="invalid") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def field_of(name: str, schema: dict[str, Any], *, required: bool) -> forms.Field:
    """Return the form field for one parameter. `sends_null` says whether left empty it is null, not left out."""
    kind = resolved(schema)
    nullable = _NULL in kind.get("anyOf", ())
    # Left empty it is left out, or null: nothing else has to stand for that.
    kind = resolved({"$defs": schema.get("$defs", {}), **without_null(kind)}) if nullable else kind
    asked = required and not nullable
    options: dict[str, Any] = {"label": name, "required": asked}
    if schema.get("default") is not None:
        options["help_text"] = _("Left empty: %(default)s") % {"default": json.dumps(schema["default"])}
    whole = {**kind, "$defs": schema.get("$defs", {})}
    field = _choice_of(kind, options) or _scalar_of(kind, options) or json_of(whole, options)
    field.sends_null = required and nullable  # type: ignore[attr-defined]
    return field


def _choice_of(kind: dict[str, Any], options: dict[str, Any]) -> forms.Field | None:
    """Return a choice of what an enumeration, or a boolean, can be; the values are JSON."""
    if kind.get("type") == "boolean":
        choices: list[tuple[str, Any]] = [("true", gettext_lazy("Yes")), ("false", gettext_lazy("No"))]
    elif isinstance(kind.get("enum"), list):
        choices = [(json.dumps(each), each if isinstance(each, str) else json.dumps(each)) for each in kind["enum"]]
    else:
        return None
    return forms.TypedChoiceField(choices=[("", NOTHING), *choices], coerce=json.loads, empty_value=None, **options)


def _scalar_of(kind: dict[str, Any], options: dict[str, Any]) -> forms.Field | None:
    match kind.get("type"), kind.get("format"):
        case "integer", _:
            return forms.IntegerField(min_value=kind.get("minimum"), max_value=kind.get("maximum"), **options)
        case "number", _:
            return forms.FloatField(widget=forms.NumberInput(attrs={"step": "any"}), **options)
        case "string", "decimal":
            return forms.DecimalField(widget=forms.NumberInput(attrs={"step": "any"}), **options)
        case "string", "date":
            return forms.DateField(widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), **options)
        case "string", "date-time":
            return forms.DateTimeField(widget=moment_input(), **options)
        case "string", "time":
            return forms.TimeField(widget=forms.TimeInput(attrs={"type": "time", "step": "1"}), **options)
        case "string", "duration":
            known = gettext_lazy(
                "Days, then hours, minutes and seconds, as in “1 12:30:00”; or ISO 8601, as in “PT36H”."
            )
            return forms.DurationField(**{"help_text": known, **options})
        case "string", "uuid":
            return forms.UUIDField(widget=forms.TextInput(attrs={"size": 40}), **options)
        case "string", _:
            return forms.CharField(strip=False, widget=forms.TextInput(attrs={"size": 60}), **options)
    return None


def moment_input() -> forms.DateTimeInput:
    """Return the browser's own input of a date and a time."""
    return forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S")


def json_of(schema: dict[str, Any], options: dict[str, Any]) -> JsonField:
    """Return a field for what a schema describes, with the schema, and an example in place of what is not written."""
    shared = schema.get("$defs", {})
    shown = {name: value for name, value in schema.items() if name not in ("$defs", "default")}
    field = JsonField(**{"help_text": "" if shown else "JSON", **options})
    if shown:
        whole = {**shown, "$defs": shared} if "$ref" in json.dumps(shown) else shown
        field.schema_text = json.dumps(whole, indent=2, ensure_ascii=False)
        example = example_of({**shown, "$defs": shared})
        if example not in (None, [], {}):
            field.widget.attrs["placeholder"] = json.dumps(example, indent=2, ensure_ascii=False)
    return field


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Return what a schema refers to, where all it does is refer."""
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    found: dict[str, Any] = schema.get("$defs", {}).get(name, schema)
    return found


def without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return what a schema allows besides null, where that is one thing."""
    others = [each for each in schema.get("anyOf", ()) if each != _NULL]
    return others[0] if len(others) == 1 else schema


def example_of(schema: dict[str, Any], level: int = 0) -> Any:
    """Return a value of a schema's shape, to be written over: defaults, the first of choices, or nothing much."""
    kind = resolved(schema)
    if "default" in kind or kind.get("enum"):
        return kind["default"] if "default" in kind else kind["enum"][0]
    if "anyOf" in kind:
        return (
            example_of({"$defs": schema.get("$defs", {}), **without_null(kind)}, level + 1)
            if level < _DEEPEST
            else None
        )
    match kind.get("type"):
        case "object" if level < _DEEPEST:
            shared = schema.get("$defs", {})
            members = kind.get("properties", {})
            return {name: example_of({"$defs": shared, **each}, level + 1) for name, each in members.items()}
        case "array" if level < _DEEPEST and isinstance(kind.get("items"), dict):
            return [example_of({"$defs": schema.get("$defs", {}), **kind["items"]}, level + 1)]
    return {"string": "", "integer": 0, "number": 0.0, "boolean": False, "object": {}, "array": []}.get(
        str(kind.get("type"))
    )
