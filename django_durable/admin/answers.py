"""The form of an answer, made of the JSON Schema that its question was asked with."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _

from .inputs import field_of, json_of, resolved

PREFIX = "answer-"
WHOLE = "answer"


class AnswerForm(forms.Form):
    """One field per member where the answer is an object of known members, else one for all of it."""

    def __init__(self, schema: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        shared = {"$defs": schema.get("$defs", {})}
        kind = resolved(schema)
        members = kind.get("properties", {})
        self.by_name = kind.get("type") == "object" and bool(members)
        if self.by_name:
            required = kind.get("required", ())
            for name, each in members.items():
                self.fields[PREFIX + name] = field_of(name, {**shared, **each}, required=name in required)
        elif schema:
            self.fields[WHOLE] = field_of(_("Answer"), schema, required=True)
        else:
            options = {"label": _("Answer"), "required": False, "help_text": _("JSON; left empty, null.")}
            self.fields[WHOLE] = json_of({}, options)

    def answer(self) -> Any:
        """Return what was answered; a member that was left empty is left out, or null where it has to be there."""
        given = self.cleaned_data
        if not self.by_name:
            return None if given[WHOLE] in ("", None) else given[WHOLE]
        return {
            name.removeprefix(PREFIX): None if value in ("", None) else value
            for name, value in given.items()
            if value not in ("", None) or self._is_sent_empty(name)
        }

    def _is_sent_empty(self, name: str) -> bool:
        field: Any = self.fields[name]
        return field.required or field.sends_null
