"""What an operator can do to instances: one record per operation, used by the list and by the detail page alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext as _, gettext_lazy, ngettext_lazy

from ..client import Client, PruneOptions
from ..engine.states import TERMINAL, Move, RuntimeStatus, sources
from ..models import Instance
from .forms import (
    CloseForm,
    DeleteForm,
    EventForm,
    ItemForm,
    PruneForm,
    QueueForm,
    ReasonForm,
    RetryForm,
    TrimForm,
)

LIVE = frozenset(RuntimeStatus) - TERMINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing to do to one instance.

    Attributes:
        name: In addresses and action names.
        right: Suffix of the model permission, and of `has_<right>_permission`.
        label, many: On the button of one instance, and in the list of actions.
        explanation: What it does, on the page that asks.
        done: What is said when it was done to `count` instances.
        run: Carries it out; raises DurableError where it cannot.
        fits: Whether it is offered for an instance. The client decides whether it is legal.
        form: What it asks for; None where it is done without asking.
        note: What the log says of it.
        on_streams: Whether it needs a stream that is there; on the page of an instance without any it is not offered.
    """

    name: str
    right: str
    label: Any
    many: Any
    explanation: Any
    done: Any
    run: Callable[[Client, str, dict[str, Any]], object]
    fits: Callable[[Instance], bool]
    form: type[forms.Form] | None = None
    note: Callable[[dict[str, Any]], str]
    dangerous: bool = False
    on_streams: bool = False


def _reason(given: dict[str, Any]) -> str | None:
    return given.get("reason") or None


def _noted(label: Any) -> Callable[[dict[str, Any]], str]:
    def note(given: dict[str, Any]) -> str:
        reason = _reason(given)
        return f"{label} {reason}" if reason else str(label)

    return note


def _status_in(*statuses: RuntimeStatus) -> Callable[[Instance], bool]:
    return lambda instance: instance.runtime_status in statuses


def _delete(client: Client, instance_id: str, given: dict[str, Any]) -> None:
    client.delete_instance(instance_id, force=bool(given.get("force")))


def _prune(client: Client, instance_id: str, given: dict[str, Any]) -> None:
    client.prune_executions(instance_id, PruneOptions(keep_last=given["keep_last"]))


def _retried(given: dict[str, Any]) -> str:
    event = given["from_event"]
    return _("Retried from event %(event)s.") % {"event": event} if event else _("Retried.")


CANCEL = Operation(
    name="cancel",
    right="cancel",
    label=gettext_lazy("Cancel"),
    many=gettext_lazy("Cancel selected instances"),
    explanation=gettext_lazy(
        "The code is told at the point where it waits, may clean up, and then ends. Children and activities are "
        "canceled with it."
    ),
    done=ngettext_lazy("%(count)d instance was asked to cancel.", "%(count)d instances were asked to cancel.", "count"),
    run=lambda client, instance_id, given: client.cancel_instance(instance_id, _reason(given)),
    fits=_status_in(*LIVE),
    form=ReasonForm,
    note=_noted(gettext_lazy("Asked to cancel.")),
    dangerous=True,
)
TERMINATE = Operation(
    name="terminate",
    right="terminate",
    label=gettext_lazy("Terminate"),
    many=gettext_lazy("Terminate selected instances"),
    explanation=gettext_lazy(
        "The instance ends at once, with all its descendants. Its code is not asked and cannot clean up."
    ),
    done=ngettext_lazy("%(count)d instance was terminated.", "%(count)d instances were terminated.", "count"),
    run=lambda client, instance_id, given: client.terminate_instance(instance_id, _reason(given)),
    fits=_status_in(*sources(Move.TERMINATE)),
    form=ReasonForm,
    note=_noted(gettext_lazy("Terminated.")),
    dangerous=True,
)
SUSPEND = Operation(
    name="suspend",
    right="suspend",
    label=gettext_lazy("Suspend"),
    many=gettext_lazy("Suspend selected instances"),
    explanation=gettext_lazy("The instance is not run until it is resumed. What it is sent is kept."),
    done=ngettext_lazy("%(count)d instance was suspended.", "%(count)d instances were suspended.", "count"),
    run=lambda client, instance_id, given: client.suspend_instance(instance_id),
    fits=_status_in(*sources(Move.SUSPEND)),
    note=_noted(gettext_lazy("Suspended.")),
)
RESUME = Operation(
    name="resume",
    right="suspend",
    label=gettext_lazy("Resume"),
    many=gettext_lazy("Resume selected instances"),
    explanation=gettext_lazy("The instance goes on from where it was."),
    done=ngettext_lazy("%(count)d instance was resumed.", "%(count)d instances were resumed.", "count"),
    run=lambda client, instance_id, given: client.resume_instance(instance_id),
    fits=_status_in(*sources(Move.RESUME)),
    note=_noted(gettext_lazy("Resumed.")),
)
RAISE = Operation(
    name="event",
    right="signal",
    label=gettext_lazy("Raise event"),
    many=gettext_lazy("Raise an event for selected instances"),
    explanation=gettext_lazy("The event goes to the oldest wait for its name, or is kept for the next one."),
    done=ngettext_lazy(
        "The event was sent to %(count)d instance.", "The event was sent to %(count)d instances.", "count"
    ),
    run=lambda client, instance_id, given: client.raise_event(instance_id, given["name"], given["payload"]),
    fits=_status_in(*LIVE),
    form=EventForm,
    note=lambda given: _("Raised event “%(name)s”.") % {"name": given["name"]},
)
ENQUEUE = Operation(
    name="enqueue",
    right="signal",
    label=gettext_lazy("Enqueue"),
    many=gettext_lazy("Enqueue a message for selected instances"),
    explanation=gettext_lazy("The message waits at the end of the queue until the code dequeues it."),
    done=ngettext_lazy(
        "The message was enqueued for %(count)d instance.", "The message was enqueued for %(count)d instances.", "count"
    ),
    run=lambda client, instance_id, given: client.enqueue_event(instance_id, given["queue"], given["payload"]),
    fits=_status_in(*LIVE),
    form=QueueForm,
    note=lambda given: _("Enqueued a message in “%(queue)s”.") % {"queue": given["queue"]},
)
SEND = Operation(
    name="send",
    right="send",
    label=gettext_lazy("Send on a stream"),
    many=gettext_lazy("Send on a stream of selected instances"),
    explanation=gettext_lazy("The item is added at the end of the stream. A signal is sent in the same way."),
    done=ngettext_lazy(
        "The item was sent to %(count)d instance.", "The item was sent to %(count)d instances.", "count"
    ),
    run=lambda client, instance_id, given: client.send_to_stream(instance_id, given["stream"], given["payload"]),
    fits=_status_in(*LIVE),
    form=ItemForm,
    note=lambda given: _("Sent an item on “%(stream)s”.") % {"stream": given["stream"]},
)
CLOSE = Operation(
    name="close-stream",
    right="send",
    label=gettext_lazy("Close a stream"),
    many=gettext_lazy("Close a stream of selected instances"),
    explanation=gettext_lazy("Nothing more can be sent on it. Its readers get what is there, then its end."),
    done=ngettext_lazy(
        "The stream of %(count)d instance was closed.", "The streams of %(count)d instances were closed.", "count"
    ),
    run=lambda client, instance_id, given: client.close_stream(instance_id, given["stream"], _reason(given)),
    fits=_status_in(*LIVE),
    form=CloseForm,
    on_streams=True,
    note=lambda given: _("Closed the stream “%(stream)s”.") % {"stream": given["stream"]},
    dangerous=True,
)
TRIM = Operation(
    name="trim-stream",
    right="prune",
    label=gettext_lazy("Trim a stream"),
    many=gettext_lazy("Trim a stream of selected instances"),
    explanation=gettext_lazy("The oldest items of the stream are deleted. Readers whose place is gone are told so."),
    done=ngettext_lazy(
        "The stream of %(count)d instance was trimmed.", "The streams of %(count)d instances were trimmed.", "count"
    ),
    run=lambda client, instance_id, given: client.trim_stream(instance_id, given["stream"], keep=given["keep"]),
    fits=lambda instance: True,
    form=TrimForm,
    on_streams=True,
    note=lambda given: _("Trimmed the stream “%(stream)s”.") % {"stream": given["stream"]},
    dangerous=True,
)
RETRY = Operation(
    name="retry",
    right="retry",
    label=gettext_lazy("Retry"),
    many=gettext_lazy("Retry selected instances"),
    explanation=gettext_lazy(
        "The instance goes on from before its failure, as a new execution, with its children. What had completed is "
        "not run again; what it did since is not undone."
    ),
    done=ngettext_lazy("%(count)d instance goes on.", "%(count)d instances go on.", "count"),
    run=lambda client, instance_id, given: client.retry_instance(instance_id, from_event=given["from_event"]),
    fits=lambda instance: instance.runtime_status in sources(Move.RETRY) and instance.parent_id is None,
    form=RetryForm,
    note=_retried,
)
PRUNE = Operation(
    name="prune",
    right="prune",
    label=gettext_lazy("Prune"),
    many=gettext_lazy("Prune executions of selected instances"),
    explanation=gettext_lazy(
        "Executions that the instance has continued from are deleted with their histories. The current one stays."
    ),
    done=ngettext_lazy("%(count)d instance was pruned.", "%(count)d instances were pruned.", "count"),
    run=_prune,
    fits=lambda instance: instance.execution_number > 1,
    form=PruneForm,
    note=lambda given: _("Pruned, keeping %(count)s.") % {"count": given["keep_last"]},
    dangerous=True,
)
DELETE = Operation(
    name="delete",
    right="remove",
    label=gettext_lazy("Delete"),
    many=gettext_lazy("Delete selected instances"),
    explanation=gettext_lazy("The instance is deleted with all its descendants and their histories. This is final."),
    done=ngettext_lazy("%(count)d instance was deleted.", "%(count)d instances were deleted.", "count"),
    run=_delete,
    fits=lambda instance: instance.parent_id is None,
    form=DeleteForm,
    note=_noted(gettext_lazy("Deleted.")),
    dangerous=True,
)

OPERATIONS = {
    each.name: each
    for each in (
        *(RAISE, ENQUEUE, SEND, CLOSE),
        *(SUSPEND, RESUME, RETRY, CANCEL, TERMINATE),
        *(PRUNE, TRIM, DELETE),
    )
}
"""By name, in the order of the buttons."""
