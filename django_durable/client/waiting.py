"""What an instance waits for now, as faces show it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ..store.insight import OpenActivity
from .spans import CHILDREN, EVENTS, Waits, spans_of
from .surveying import InstanceSurvey

Kind = Literal["start", "timer", "activity", "child", "event", "queue", "promise", "stream"]
Progress = Literal["ready", "running", "retrying", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One thing that an instance waits for.

    Attributes:
        name: Of the activity, event, queue, promise or stream, or of the child's orchestration; empty for timers and
            starts.
        seq: Of the event that opened it; None for a start.
        since: None for timers and starts, which are due at a time.
        due: When a timer or a start is due, or the next try of an activity.
        child: Instance id of a child.
        progress: Of an activity: it waits for a worker, is `running`, waits for its next try, or the worker that had
            it is `lost`.
        failures: Failed attempts so far, oldest first, as `error_type` and `message`.
    """

    kind: Kind
    name: str = ""
    seq: int | None = None
    since: datetime | None = None
    due: datetime | None = None
    child: str | None = None
    progress: Progress | None = None
    attempt: int | None = None
    worker_id: str | None = None
    tag: str = ""
    session_id: str = ""
    failures: tuple[dict[str, Any], ...] = ()


def waiting_for(survey: InstanceSurvey, waits: Waits | None = None) -> Iterator[Waiting]:
    """Say what an instance waits for: rows say it of activities and timers, its history of everything else.

    Args:
        survey: Of its current execution; one that has ended waits for nothing, whatever this yields.
        waits: What `spans_of` gave for the outline, where that is at hand.
    """
    for message in survey.messages:
        if message.kind == "OrchestrationStarted":
            yield Waiting(kind="start", due=message.visible_at)
        elif message.kind == "TimerFired":
            yield Waiting(kind="timer", seq=message.source_seq, due=message.visible_at)
    yield from _activities(survey)
    open_now = waits or spans_of(survey.outline, survey.read_at)[1]
    for span in open_now.all():
        if span.lane == CHILDREN:
            yield Waiting(kind="child", name=span.name, seq=span.seq, since=span.start, child=span.target)
        elif span.lane == EVENTS:
            yield Waiting(kind=_kind(span.seq, open_now), name=span.name, seq=span.seq, since=span.start)


def _kind(seq: int, waits: Waits) -> Kind:
    """Return what is waited for by a name."""
    named: tuple[tuple[Kind, Collection[int]], ...] = (
        ("queue", waits.queues),
        ("promise", waits.promises),
        ("stream", waits.reads),
    )
    return next((kind for kind, opened in named if seq in opened), "event")


def _activities(survey: InstanceSurvey) -> Iterator[Waiting]:
    for task in survey.activities:
        if task.execution_number == survey.executions[0].number:
            progress = _progress(task, survey.read_at)
            yield Waiting(
                kind="activity",
                name=task.name,
                seq=task.seq,
                since=task.created_at,
                due=task.visible_at if progress == "retrying" else None,
                progress=progress,
                attempt=task.attempt,
                worker_id=task.worker_id,
                tag=task.tag,
                session_id=task.session_id,
                failures=tuple(task.failures),
            )


def _progress(task: OpenActivity, now: datetime) -> Progress:
    if task.worker_id:
        return "running" if task.visible_at > now else "lost"
    return "retrying" if task.visible_at > now else "ready"
