"""What of the payloads may be shown: one hook of the project, asked before any face shows one.

`DJANGO_DURABLE["REDACT"]` is the path of a function. It is given where a value stands and the value, and returns what
is shown in its place:

    def redact(place, value):
        if place.kind == "ActivityScheduled" and place.name == "shop.activities.charge":
            return "[hidden]"
        return hide_secrets(place, value)

Theory of operation.

1. `shown` is the one seam: it takes what the store has read and returns the same as it may be shown. `client.viewing`
   passes through it all that its client reads, and `live` all that its tail reads. The faces have payloads from nowhere
   else.
2. The hook sees payloads as the JSON values that they are, and the messages and tracebacks of errors as texts. Ids,
   names, KV keys and the types of errors are not payloads; they are always shown.
3. It fails closed. What the hook cannot be asked about, because only its beginning was read, is not shown; nor is that
   for which it raises, or returns something that is no JSON.
4. Without a hook, records are returned as they are. The engine, workers and the project's own use of the client never
   come here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from django.utils.module_loading import import_string

from ..conf import settings
from ..engine.events import Payload
from .hook import HIDDEN, SECRETS, Hook, Place, Redactor, hide_secrets
from .records import shown_by

__all__ = [
    "HIDDEN", "SECRETS", "Hook", "Place", "current_hook", "hide_secrets", "shown", "shown_entries", "shown_message",
]  # fmt: skip

R = TypeVar("R")


def current_hook() -> Hook | None:
    """Return the project's hook, None where it has none.

    Raises: ImportError: `DJANGO_DURABLE["REDACT"]` names no function; correct the setting.
    """
    hook: Hook | None = import_string(settings.REDACT) if settings.REDACT else None
    return hook


def shown(record: R, *, instance_id: str = "") -> R:
    """Return a record as it may be shown.

    Args:
        instance_id: Of the instance that it belongs to, where the record does not say.
    """
    hook = current_hook()
    if hook is None:
        return record
    found: R = shown_by(record, Redactor(hook, instance_id))
    return found


def shown_entries(entries: Mapping[str, Payload], instance_id: str) -> dict[str, Payload]:
    """Return KV entries as they may be shown."""
    hook = current_hook()
    if hook is None:
        return dict(entries)
    redactor = Redactor(hook, instance_id)
    return {key: redactor.payload(value, "KeyValue", key, "value") for key, value in entries.items()}


def shown_message(text: str, instance_id: str) -> str:
    """Return what is said of an instance, which may have parts of its payloads in it, as it may be shown."""
    hook = current_hook()
    return text if hook is None else Redactor(hook, instance_id).text(text, "Instance", None, "message")
