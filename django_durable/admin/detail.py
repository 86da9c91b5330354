"""What the page of one instance shows: everything prepared, so that the template only writes it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from .. import redaction
from ..client import spans
from ..client.surveying import Bounds, InstanceSurvey
from ..client.viewing import client
from ..client.waiting import Waiting, waiting_for
from ..engine.states import TERMINAL, RuntimeStatus
from ..models import Instance
from ..store.insight import Excerpt, ExecutionOutline, Relative
from . import streams, text, timeline, traced

BOUNDS = Bounds()
REFRESH_SECONDS = 3
CHANGE_PAGE = "admin:django_durable_instance_change"


@dataclass(frozen=True, slots=True)
class Wait:
    """Something the instance waits for now. `event` is the name to raise, where that would end the wait."""

    what: str
    name: str
    since: SafeString | str
    note: SafeString | str = ""
    more: str = ""
    seq: int | None = None
    link: str | None = None
    event: str | None = None
    queue: str | None = None
    failures: tuple[str, ...] = ()

    @property
    def short_name(self) -> str:
        """The name as it is shown: of an activity, without the path of its module."""
        return self.name if self.event or self.queue else text.last_part(self.name)


@dataclass(frozen=True, slots=True)
class Line:
    """One event of the table. `after` is the time since the event before it."""

    seq: int
    at: SafeString | str
    after: str
    kind: str
    name: str
    source: int | None
    tone: str
    payload: text.PayloadText | None
    data: text.PayloadText | None

    @property
    def short_name(self) -> str:
        return text.last_part(self.name)

    @property
    def payload_key(self) -> str:
        """Names the folded payload, so that it stays open when the page refreshes."""
        return f"d-payload-{self.seq}"

    @property
    def data_key(self) -> str:
        return f"d-data-{self.seq}"


@dataclass(frozen=True, slots=True)
class Node:
    """One member of the tree, with its place in it."""

    depth: int
    id: int
    instance_id: str
    orchestration: str
    status: SafeString
    took: str
    current: bool
    children: list[Node]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Why an instance failed, was terminated or is blocked."""

    error_type: str
    message: str
    traceback: str


def page_of(
    instance: Instance,
    *,
    execution: int | None,
    before: int | None,
    below: tuple[str, int] | None = None,
    payloads: bool,
    reads: Callable[[str], bool],
    sees: Callable[[Relative], bool],
) -> dict[str, Any]:
    """Return the context of an instance's page.

    Args:
        execution: Number of the one to show, the current one where there is none such.
        before: The table of events ends before this seq.
        below: A stream, and the position before which its items are shown.
        payloads: Whether whoever looks may see payloads.
        reads: Whether they may read a stream.
        sees: Whether whoever looks may see a member of its tree.
    """
    current_number = instance.execution_number
    number = execution if execution and execution <= current_number else current_number
    instance = redaction.shown(instance)
    survey = client.survey_instance(
        instance.pk,
        execution=number,
        root=instance.root_id,
        before=before,
        bounds=BOUNDS,
        instance_id=instance.instance_id,
    )
    relatives = [each for each in survey.relatives if each.id == instance.pk or sees(each)]
    shown = next((each for each in survey.executions if each.number == number), None)
    now = survey.read_at
    found, waits = spans.spans_of(survey.outline, now)
    found = spans.with_traced(found, survey.spans, now)
    live = RuntimeStatus(instance.runtime_status) not in TERMINAL
    current = number == current_number
    ids = {each.instance_id: each.id for each in relatives}
    return {
        "instance": instance,
        "pill": text.pill(instance.runtime_status),
        "facts": list(_facts(instance, now)),
        "custom_status": text.custom_status(instance.custom_status),
        "custom_status_text": text.payload(_whole(instance.custom_status)) if instance.custom_status else None,
        "live": live,
        "refresh": REFRESH_SECONDS if live and before is None else None,
        "waits": list(_waits(survey, waits, ids, now)) if live and current else [],
        "execution": shown,
        "execution_number": number,
        "is_current": current,
        "timeline": _timeline(shown, found, survey, now),
        "traced": traced.lines_of(survey.spans, now=now, payloads=payloads),
        "traced_is_cut": len(survey.spans) >= BOUNDS.spans,
        "outline_is_cut": bool(survey.outline) and survey.outline[0].seq > 1,
        "outline_length": len(survey.outline),
        "lines": list(_lines(survey, payloads)),
        "before": survey.events[0].seq if survey.events and survey.events[0].seq > 1 else None,
        "is_latest": before is None,
        # What is earlier is on another page of the table.
        "first_seq": survey.events[0].seq if survey.events else 0,
        "input": text.payload(shown.input) if shown and payloads else None,
        "output": text.payload(shown.output) if shown and payloads else None,
        "outcome": _outcome(instance, shown, payloads),
        "payloads": payloads,
        "tree": _tree(relatives, instance, now),
        "tree_is_cut": len(survey.relatives) >= BOUNDS.rows,
        "entries": [
            (each, text.payload(each.value) if payloads else None, text.moment(each.updated_at))
            for each in survey.entries
        ],
        "queues": _queues(survey, payloads, now),
        "streams": streams.lines_of(instance, below, reads=reads),
        "executions": [
            (each, text.pill(each.status), text.moment(each.started_at), _took(each.started_at, each.completed_at, now))
            for each in survey.executions
        ],
    }


def _whole(value: str | None) -> Excerpt | None:
    return None if value is None else Excerpt(value[: BOUNDS.characters], len(value))


def _facts(instance: Instance, now: datetime) -> Iterator[tuple[str, Any]]:
    yield _("Created"), text.moment(instance.created_at)
    if instance.started_at:
        waited = instance.started_at - instance.created_at
        yield _("Started"), _after(instance.started_at, waited)
    if instance.completed_at:
        yield _("Ended"), text.moment(instance.completed_at)
    yield _("Duration"), _took(instance.started_at or instance.created_at, instance.completed_at, now)
    if instance.completed_at is None:
        yield _("Last change"), text.moment(instance.updated_at, text=text.ago(instance.updated_at, now))
    yield _("Worker"), _lease(instance, now)
    yield _("Events"), f"{instance.history_length:,}"
    yield _("Revision"), f"{instance.revision:,}"


def _after(at: datetime, waited: timedelta) -> SafeString | str:
    if waited < timedelta(seconds=1):
        return text.moment(at)
    whole = text.moment(at)
    return format_html("{} ({})", whole, _("after %(duration)s") % {"duration": text.duration(waited)})


def _lease(instance: Instance, now: datetime) -> str:
    if instance.lease_owner is None or instance.lease_until is None:
        return _("none has it now")
    if instance.lease_until < now:
        return _("%(worker)s, lease ran out %(ago)s") % {
            "worker": instance.lease_owner,
            "ago": text.ago(instance.lease_until, now),
        }
    return instance.lease_owner


def _took(start: datetime, end: datetime | None, now: datetime) -> str:
    return text.duration((end or now) - start)


def _waits(survey: InstanceSurvey, waits: spans.Waits, ids: dict[str, int], now: datetime) -> Iterator[Wait]:
    """Say what an instance waits for."""
    for each in waiting_for(survey, waits):
        due = text.moment(each.due, text=text.ago(each.due, now)) if each.due else ""
        since = text.moment(each.since, text=text.ago(each.since, now)) if each.since else ""
        match each.kind:
            case "start":
                yield Wait(_("start"), "", "", due)
            case "timer":
                yield Wait(_("timer"), "", "", format_html("{} {}", _("due"), due), seq=each.seq)
            case "activity":
                yield _activity(each, since, now)
            case "child":
                child = ids.get(each.child or "")
                link = reverse(CHANGE_PAGE, args=[child]) if child else None
                yield Wait(_("child"), each.child or each.name, since, each.name, seq=each.seq, link=link)
            case "queue":
                yield Wait(_("queue"), each.name, since, seq=each.seq, queue=each.name)
            case "promise":
                yield Wait(_("promise"), each.name, since, seq=each.seq)
            case "stream":
                yield Wait(_("stream"), each.name, since, seq=each.seq)
            case "event":
                yield Wait(_("event"), each.name, since, seq=each.seq, event=each.name)


def _activity(each: Waiting, since: SafeString | str, now: datetime) -> Wait:
    state = _("attempt %(number)s") % {"number": each.attempt}
    match each.progress:
        case "running":
            state += ", " + _("running on %(worker)s") % {"worker": each.worker_id}
        case "lost":
            state += ", " + _("lease of %(worker)s ran out") % {"worker": each.worker_id}
        case "retrying":
            state += ", " + _("next try %(ago)s") % {"ago": text.ago(each.due or now, now)}
        case _:
            state += ", " + _("waiting for a worker")
    more = [_("tag %(tag)s") % {"tag": each.tag}] if each.tag else []
    more += [_("session %(session)s") % {"session": each.session_id}] if each.session_id else []
    return Wait(_("activity"), each.name, since, state, ", ".join(more), each.seq, failures=_failures(each.failures))


def _failures(found: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """Return the types of the errors of failed attempts, without their modules, each with how often it was raised."""
    counted = Counter(text.last_part(str(each.get("error_type", ""))) for each in found)
    return tuple(text.times(name, count) for name, count in counted.items())


def _timeline(
    shown: ExecutionOutline | None, found: list[spans.Span], survey: InstanceSurvey, now: datetime
) -> timeline.Timeline | None:
    if shown is None:
        return None
    started_at = survey.outline[0].recorded_at if survey.outline else shown.started_at
    tasks = [task for task in survey.activities if task.execution_number == shown.number]
    return timeline.timeline_of(found, started_at=started_at, ended_at=shown.completed_at, now=now, tasks=tasks)


_BAD = ("Failed", "Terminated")


def _lines(survey: InstanceSurvey, payloads: bool) -> Iterator[Line]:
    names = {each.seq: each.name or "" for each in survey.outline}
    previous: datetime | None = None
    for event in survey.events:
        gap = event.recorded_at - previous if previous is not None else None
        previous = event.recorded_at
        tone = "bad" if event.kind.endswith(_BAD) else "good" if event.kind.endswith("Completed") else ""
        yield Line(
            seq=event.seq,
            at=text.moment(event.recorded_at, precise=True),
            after="" if gap is None else f"+{text.duration(gap)}" if gap else "",
            kind=event.kind,
            name=event.name or names.get(event.source_seq or 0, ""),
            source=event.source_seq,
            tone=tone,
            payload=text.payload(event.payload) if payloads else None,
            data=text.payload(event.data) if payloads else None,
        )


def _outcome(instance: Instance, shown: ExecutionOutline | None, payloads: bool) -> Outcome | None:
    """Return why it is as it is; only the type of the error for those who may not see payloads."""
    written = instance.blocked_reason or (shown.failure.text if shown and shown.failure else None)
    if written is None:
        return None
    try:
        found = json.loads(written)
    except ValueError:  # Longer than what was read of it.
        found = {"error_type": _("Error"), "message": written, "traceback": ""}
    error_type = str(found.get("error_type") or _("Error"))
    if not payloads:
        return Outcome(error_type, "", "")
    return Outcome(error_type, str(found.get("message") or ""), str(found.get("traceback") or ""))


def _tree(relatives: Sequence[Relative], instance: Instance, now: datetime) -> Node | None:
    """Arrange a tree under its root; None where the instance is alone."""
    if len(relatives) < 2:
        return None
    nodes: dict[int, Node] = {}
    root: Node | None = None
    for each in relatives:
        above = nodes.get(each.parent or 0)
        made = nodes[each.id] = Node(
            depth=0 if above is None else above.depth + 1,
            id=each.id,
            instance_id=each.instance_id,
            orchestration=each.orchestration,
            status=text.pill(each.runtime_status),
            took=_took(each.created_at, each.completed_at, now),
            current=each.id == instance.pk,
            children=[],
        )
        if above is not None:
            above.children.append(made)
        elif root is None:
            root = made
    return root


def _queues(survey: InstanceSurvey, payloads: bool, now: datetime) -> list[tuple[str, list[Any]]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for each in survey.queued:
        shown = text.payload(each.payload) if payloads else None
        found[each.queue].append((shown, text.moment(each.created_at, text=text.ago(each.created_at, now))))
    return list(found.items())
