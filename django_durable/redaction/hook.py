"""The hook itself: where values stand, what it is asked, and what stands in place of what it cannot be asked about."""

from __future__ import annotations

import copy
import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ..engine.events import Payload
from ..engine.failures import Failure
from ..store.insight import Excerpt

logger = logging.getLogger("django_durable.redaction")

HIDDEN = "[hidden]"
"""What `hide_secrets` puts in place of a secret."""

WITHHELD = "[withheld: the REDACT hook failed]"
TOO_LONG = "[withheld: too long for the REDACT hook]"

_NAMES = r"pass(?:word|wd|phrase)|secret|token|api_?key|private_?key|credential|authorization|cookie|signature"
SECRETS = re.compile(_NAMES, re.IGNORECASE)

# A name and what is assigned to it, as texts of errors have it: `token=x`, `'password': 'x'`, `{\"secret\": \"x\"`.
_ASSIGNED = re.compile(
    rf"""(\w*(?:{_NAMES})\w*\\*["']?\s*[:=]\s*)(\\*"(?:[^"\\]|\\[^"])*\\*"|'[^']*'|[^\s,;&)}}\]]+)""", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a value stands.

    Attributes:
        kind: "Instance", "KeyValue", "QueuedEvent", "ActivityTask", "Stream" or "StreamItem" for what is stored of
            these, else the kind of the event of a history, for example "ActivityScheduled".
        name: Of the activity, orchestration, event, queue, stream or KV key; None where it is not known.
        field: What it is of that: "input", "output", "result", "payload", "value", "custom_status", "heartbeat",
            "reason", or of an error "message" or "traceback". Of a "Span" it is "attributes", "event" or "message".
    """

    instance_id: str
    kind: str
    name: str | None
    field: str


Hook = Callable[[Place, Any], Any]


def hide_secrets(place: Place, value: Any) -> Any:
    """Hide what stands under names that look like those of secrets, in objects and in texts. A hook to use or to call.

    It knows names like `password`, `api_key` and `access_token`. A secret under another name it does not see.
    """
    if isinstance(value, dict):
        return {key: HIDDEN if SECRETS.search(key) else hide_secrets(place, each) for key, each in value.items()}
    if isinstance(value, list):
        return [hide_secrets(place, each) for each in value]
    return _ASSIGNED.sub(rf"\1{HIDDEN}", value) if isinstance(value, str) else value


E = TypeVar("E", Excerpt, Excerpt | None)


@dataclass(frozen=True, slots=True)
class Redactor:
    """Asks the hook about what stands in one instance."""

    hook: Hook
    instance_id: str

    def value(self, value: Any, kind: str, name: str | None, field: str) -> Any:
        """Return what is shown in place of a JSON value."""
        place = Place(instance_id=self.instance_id, kind=kind, name=name, field=field)
        try:
            found = self.hook(place, copy.deepcopy(value))
            return json.loads(json.dumps(found))
        except Exception as error:
            # Neither the value nor what the error says of it goes into the log.
            logger.error("The REDACT hook failed for %s: %s.", place, type(error).__name__)
            return WITHHELD

    def payload(self, payload: Payload, kind: str, name: str | None, field: str) -> Payload:
        """Return what is shown in place of JSON text."""
        return json.dumps(self.value(json.loads(payload), kind, name, field), ensure_ascii=False)

    def optional(self, payload: Payload | None, kind: str, name: str | None, field: str) -> Payload | None:
        return None if payload is None else self.payload(payload, kind, name, field)

    def text(self, text: str, kind: str, name: str | None, field: str) -> str:
        """Return what is shown in place of a text; an empty one has nothing to hide."""
        return str(self.value(text, kind, name, field)) if text else text

    def failure(self, failure: Failure | None, kind: str = "Instance", name: str | None = None) -> Failure | None:
        if failure is None:
            return None
        return replace(
            failure,
            message=self.text(failure.message, kind, name, "message"),
            traceback=self.text(failure.traceback, kind, name, "traceback"),
        )

    def failure_text(self, payload: Payload, kind: str, name: str | None) -> Payload:
        """Return what is shown in place of a failure as it is stored."""
        stored = json.loads(payload)
        told = {field: self.text(str(stored.get(field) or ""), kind, name, field) for field in ("message", "traceback")}
        return json.dumps({**stored, **told}, ensure_ascii=False)

    def excerpt(self, excerpt: E, redact: Callable[[Payload], Payload]) -> E:
        """Return what is shown in place of JSON text of which perhaps not all was read."""
        if excerpt is None or not excerpt.text:
            return excerpt
        text = redact(excerpt.text) if excerpt.complete else json.dumps(TOO_LONG)
        return Excerpt(text, len(text))

    def within(self, instance_id: str) -> Redactor:
        """Return the one for what stands in another instance."""
        return replace(self, instance_id=instance_id)
