"""What operations ask for, and the form that starts an instance, made of its orchestration's input schema."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _, gettext_lazy

from ..definitions import Orchestration
from ..engine.durations import checked_moment
from ..engine.errors import DurableError
from .inputs import JsonField, field_of, json_of, moment_input

PREFIX = "input-"
WHOLE = "input"


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


class ItemForm(forms.Form):
    stream = forms.CharField(label=gettext_lazy("Stream"), max_length=255, widget=forms.TextInput(attrs={"size": 60}))
    payload = JsonField(label=gettext_lazy("Item"), required=False, help_text=gettext_lazy("JSON; left empty, null."))


class CloseForm(forms.Form):
    stream = forms.CharField(label=gettext_lazy("Stream"), max_length=255, widget=forms.TextInput(attrs={"size": 60}))
    reason = forms.CharField(
        label=gettext_lazy("Reason"), required=False, max_length=1_000, widget=forms.TextInput(attrs={"size": 60}),
        help_text=gettext_lazy("Left empty, all went well. Else whoever reads the stream is told this error."),
    )  # fmt: skip


class TrimForm(forms.Form):
    stream = forms.CharField(label=gettext_lazy("Stream"), max_length=255, widget=forms.TextInput(attrs={"size": 60}))
    keep = forms.IntegerField(
        label=gettext_lazy("Keep the newest"), min_value=0, max_value=1_000_000_000,
        help_text=gettext_lazy("How many items stay. What the code has yet to read always does."),
    )  # fmt: skip


class RetryForm(forms.Form):
    from_event = forms.IntegerField(
        label=gettext_lazy("From event"), required=False, min_value=1,
        help_text=gettext_lazy(
            "Left empty, it goes on from its last good point. Else the number of something it was told, for example of "
            "a failed activity: that and what follows is dropped."
        ),
    )  # fmt: skip


class PruneForm(forms.Form):
    keep_last = forms.IntegerField(
        label=gettext_lazy("Keep the last"), min_value=1, max_value=1_000_000, initial=1,
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
        widget=moment_input(),
        help_text=gettext_lazy("Left empty, it starts at once."),
    )  # fmt: skip

    def clean_start_at(self) -> datetime | None:
        given: datetime | None = self.cleaned_data["start_at"]
        try:
            return None if given is None else checked_moment(given, _("“Not before”"))
        except DurableError as error:
            raise ValidationError(str(error), code="range") from None

    def __init__(self, definition: Orchestration[Any, Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.definition = definition
        self.schema = definition.input_schema()
        properties = self.schema.get("properties", {})
        self.by_name = properties.keys() == definition.signature.parameters.keys()
        if not self.by_name:
            options = {"label": _("Input"), "required": False, "help_text": _("JSON; left empty, null.")}
            self.fields[WHOLE] = json_of(self.schema, options)
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
        if self.by_name and (wrong := self.definition.misfits(value or {})):
            for name, reason in wrong.items():
                self.add_error(PREFIX + name, ValidationError(reason, code="input"))
            return given
        try:
            self.definition.decode_call(self.definition.encode_input(value))
        except DurableError as error:
            raise ValidationError(str(error), code="input") from None
        given["value"] = value
        return given

    def _by_name(self, given: dict[str, Any]) -> dict[str, Any] | None:
        found = {
            name.removeprefix(PREFIX): None if value in ("", None) else value
            for name, value in given.items()
            if name.startswith(PREFIX) and (value not in (None, "") or self._is_sent_empty(name))
        }
        return found or None

    def _is_sent_empty(self, name: str) -> bool:
        field: Any = self.fields[name]
        return field.required or field.sends_null
