"""What follows from a committed turn for the worker that made it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..engine.durations import from_epoch_ms
from ..engine.events import (
    ActivityCancelRequested,
    ActivityScheduled,
    HistoryEvent,
    OrchestrationChained,
    OrchestrationCompleted,
    StreamEnded,
    StreamItemSent,
    StreamSubscribed,
    SubOrchestrationCancelRequested,
    SubOrchestrationScheduled,
    TimerCreated,
)
from ..store.effects import EAGER_TOKEN
from ..store.records import ClaimedTask, TaskKey
from .outcomes import Defer, Outcome, Retry
from .turns import Turn


@dataclass(slots=True)
class Aftermath:
    """See the module docstring.

    Attributes:
        started: The tasks that the commit inserted already leased to this worker.
        leaves_tasks: Whether activities were scheduled that wait to be claimed.
        makes_work: Whether messages were written that are due: to children, a parent, or the next execution.
        fires_at_ms: When the first timer fires that was created, in ms since the epoch.
        withdrawn: The tasks that were taken back.
    """

    started: list[ClaimedTask] = field(default_factory=list)
    leaves_tasks: bool = False
    makes_work: bool = False
    fires_at_ms: int | None = None
    withdrawn: list[TaskKey] = field(default_factory=list)

    @property
    def due(self) -> datetime | None:
        """When there is something to do again, as far as this turn goes."""
        return None if self.fires_at_ms is None else from_epoch_ms(self.fires_at_ms)


def aftermath_of(turn: Turn, eager: frozenset[int]) -> Aftermath:
    """Return what follows from a turn whose commit started `eager`, by one pass over its events."""
    after = Aftermath(makes_work=_end_makes_work(turn))
    for event in turn.events:
        match event.fact:
            case ActivityScheduled() as fact if event.seq in eager:
                after.started.append(_task(turn, event, fact))
            case ActivityScheduled():
                after.leaves_tasks = True
            case TimerCreated(fire_at_ms=due):
                after.fires_at_ms = due if after.fires_at_ms is None else min(due, after.fires_at_ms)
            case ActivityCancelRequested(scheduled_seq=seq):
                after.withdrawn.append(TaskKey(turn.claim.id, turn.claim.execution_number, seq))
            case SubOrchestrationScheduled() | SubOrchestrationCancelRequested() | OrchestrationChained():
                after.makes_work = True
            case StreamItemSent() | StreamEnded() | StreamSubscribed(opens=True):
                after.makes_work = True  # Its own code may read what it sends.
            case _:
                pass
    return after


def _end_makes_work(turn: Turn) -> bool:
    """Tell whether the end of an execution sends messages: to the next one, to a parent, or to children that run on."""
    match turn.ended:
        case None:
            return False
        case OrchestrationCompleted():
            return turn.claim.kin.parent is not None
        case _:
            return True


def _task(turn: Turn, event: HistoryEvent, fact: ActivityScheduled) -> ClaimedTask:
    expires_at = None
    if fact.schedule_to_close_ms is not None:
        expires_at = event.recorded_at + timedelta(milliseconds=fact.schedule_to_close_ms)
    return ClaimedTask(
        key=TaskKey(turn.claim.id, turn.claim.execution_number, event.seq),
        instance_id=turn.claim.instance_id,
        orchestration=turn.claim.orchestration,
        version=turn.claim.version,
        name=fact.name,
        input=fact.input,
        tag=fact.tag,
        session_id=fact.session_id,
        attempt=1,
        deliveries=1,
        retry=fact.retry,
        start_to_close_ms=fact.start_to_close_ms,
        expires_at=expires_at,
        failures=[],
        heartbeat=None,
        lease_token=EAGER_TOKEN,
        created_at=event.recorded_at,
        traceparent=turn.claim.traceparent,
    )


def next_due(outcomes: Iterable[Outcome]) -> datetime | None:
    """Return when the first of the tasks is due again that are retried or deferred."""
    moments = [each.visible_at for each in outcomes if isinstance(each, Retry)]
    moments += [each.until for each in outcomes if isinstance(each, Defer)]
    return min(moments, default=None)
