"""What stands where in an event of a history, told by the class of its fact."""

from __future__ import annotations

import json
from typing import Any

from ..engine.events import FACTS, Payload
from ..engine.facts.base import layout_of
from .hook import Redactor

_NO_PAYLOADS = frozenset(
    {
        "instance_id", "parent_instance_id", "seed", "version", "requested_version", "tag", "session_id", "retry",
        "worker_id", "copied_from", "keys", "mode", "stream_positions",
    }
)  # fmt: skip
"""Of what stands in the data of an event, that which the engine made or that names something. What is not here and is
no number goes through the hook, so that what is stored one day is not shown by having been forgotten."""


def event_payload(redactor: Redactor, kind: str, name: str | None, payload: Payload) -> Payload:
    fact = FACTS.get(kind)
    field = (layout_of(fact).payload if fact is not None else None) or "payload"
    if field == "failure":
        return redactor.failure_text(payload, kind, name)
    return redactor.payload(payload, kind, name, field)


def event_data(redactor: Redactor, kind: str, name: str | None, data: str) -> str:
    def hidden(field: str, value: Any) -> Any:
        match field, value:
            case "kv", dict():
                return {
                    key: [redactor.payload(payload, "KeyValue", key, "value"), *rest]
                    for key, (payload, *rest) in value.items()
                }
            case "carried_events", list():
                return [
                    [event, redactor.payload(payload, "ExternalEvent", event, "payload")] for event, payload in value
                ]
            case "items", list():
                return [[position, redactor.payload(payload, kind, name, "payload")] for position, payload in value]
            case "custom_status", str():
                return redactor.payload(value, "Instance", name, field)
            case _, None | bool() | int() | float():
                return value
        return value if field in _NO_PAYLOADS else redactor.value(value, kind, name, field)

    return json.dumps({field: hidden(field, value) for field, value in json.loads(data).items()}, ensure_ascii=False)


def columns(
    redactor: Redactor, kind: str, name: str | None, payload: Payload | None, data: str | None
) -> tuple[Payload | None, str | None]:
    return (
        None if payload is None else event_payload(redactor, kind, name, payload),
        None if data is None else event_data(redactor, kind, name, data),
    )
