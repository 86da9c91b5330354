"""What operations ask for, and the form that starts an instance, made of its orchestration's input schema."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..definitions import Orchestration
from ..engine.errors import DurableError
from .text import NOTHING

PREFIX = "input-"
WHOLE = "input"
_NO, _YES = "false", "true"


class JsonField(forms.CharField):
    """One JSON value in a text area."""

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


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Reason"), required=False, max_length=1_000, widget=forms.TextInput(attrs={"size": 60}),
        help_text=gettext_lazy("Recorded in the history, and in the log of the admin."),
    )  # fmt: skip


class EventForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=255, widget=forms.TextInput(attrs={"size": 60}))
    payload = JsonField(label=gettext_lazy("Data"), required=False, help_text=gettext_lazy("JSON; left empty, null."))


class QueueForm(forms.Form):
    queue = forms.CharField(label=gettext_lazy("Queue"), max_length=255, widget=forms.TextInput(attrs={"size": 60}))
    payload = JsonField(
        label=gettext_lazy("Message"), required=False, help_text=gettext_lazy("JSON; left empty, null.")
    )


class PruneForm(forms.Form):
    keep_last = forms.IntegerField(
        label=gettext_lazy("Keep the last"), min_value=1, initial=1,
        help_text=gettext_lazy("How many of the newest executions stay, the current one included."),
    )  # fmt: skip


class DeleteForm(forms.Form):
    force = forms.BooleanField(
        label=gettext_lazy("Also if it has not finished"), required=False,
        help_text=gettext_lazy("What workers have in hand of it is lost."),
    )  # fmt: skip


class StartForm(forms.Form):
    """Starts one orchestration: its parameters by name where they can be told apart, else the whole input as JSON."""

    instance_id = forms.CharField(
        label=gettext_lazy("Instance id"), required=False, max_length=512, widget=forms.TextInput(attrs={"size": 60}),
        help_text=gettext_lazy("Left empty, a new one is made. The same id with the same input starts nothing twice."),
    )  # fmt: skip
    start_at = forms.DateTimeField(
        label=gettext_lazy("Not before"), required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S"),
        help_text=gettext_lazy("Left empty, it starts at once."),
    )  # fmt: skip

    def __init__(self, definition: Orchestration[Any, Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.definition = definition
        self.schema = definition.input_schema()
        properties = self.schema.get("properties", {})
        self.by_name = properties.keys() == definition.signature.parameters.keys()
        if not self.by_name:
            self.fields[WHOLE] = JsonField(label=_("Input"), required=False, help_text=_("JSON; left empty, null."))
        elif properties:
            required = self.schema.get("required", ())
            shared = self.schema.get("$defs", {})
            for name, schema in properties.items():
                self.fields[PREFIX + name] = field_of(name, {"$defs": shared, **schema}, required=name in required)
        # The input is what one comes for.
        self.order_fields([name for name in self.fields if name.startswith(WHOLE)])

    @property
    def schema_text(self) -> str:
        return json.dumps(self.schema, indent=2, ensure_ascii=False)

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if self.errors:
            return given
        value = self._by_name(given) if self.by_name else given.get(WHOLE)
        try:
            self.definition.decode_call(self.definition.encode_input(value))
        except DurableError as error:
            raise ValidationError(str(error), code="input") from None
        given["value"] = value
        return given

    def _by_name(self, given: dict[str, Any]) -> dict[str, Any] | None:
        found = {
            name.removeprefix(PREFIX): value
            for name, value in given.items()
            if name.startswith(PREFIX) and (self.fields[name].required or value not in (None, ""))
        }
        return found or None


def field_of(name: str, schema: dict[str, Any], *, required: bool) -> forms.Field:
    """Return the form field for one parameter; what is no scalar is asked for as JSON."""
    kind = resolved(schema)
    if not required:
        # Left empty it is left out, so nothing else has to stand for null.
        kind = resolved({"$defs": schema.get("$defs", {}), **without_null(kind)})
    options: dict[str, Any] = {"label": name, "required": required}
    if schema.get("default") is not None:
        options["help_text"] = _("Left empty: %(default)s") % {"default": json.dumps(schema["default"])}
    if isinstance(kind.get("enum"), list) and all(isinstance(each, str) for each in kind["enum"]):
        choices = [(each, each) for each in kind["enum"]]
        return forms.ChoiceField(choices=choices if required else [("", NOTHING), *choices], **options)
    match kind.get("type"), kind.get("format"):
        case "integer", _:
            return forms.IntegerField(min_value=kind.get("minimum"), max_value=kind.get("maximum"), **options)
        case "number", _:
            return forms.FloatField(widget=forms.NumberInput(attrs={"step": "any"}), **options)
        case "boolean", _:
            choices = [(_YES, gettext_lazy("Yes")), (_NO, gettext_lazy("No"))]
            return forms.TypedChoiceField(
                choices=choices if required else [("", NOTHING), *choices],
                coerce=lambda text: text == _YES,
                empty_value=None,
                **options,
            )
        case "string", "date":
            return forms.DateField(widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), **options)
        case "string", _:
            return forms.CharField(widget=forms.TextInput(attrs={"size": 60}), **options)
    return JsonField(**{"help_text": "JSON", **options})


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Return what a schema refers to, where all it does is refer."""
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    found: dict[str, Any] = schema.get("$defs", {}).get(name, schema)
    return found


def without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return what a schema allows besides null, where that is one thing."""
    others = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    return others[0] if len(others) == 1 else schema
