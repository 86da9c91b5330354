"""What the events of a batch of turns do to the tables: rows to write, by table and kind of write.

Nothing here touches a database. `turns` carries the result out with a number of statements that does not depend on the
number of turns. What a turn schedules and takes back again, or loses by ending, leaves nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..engine import events
from ..engine.durations import from_epoch_ms
from ..engine.events import HistoryEvent, failure_to_payload
from ..engine.states import ExecutionStatus, RuntimeStatus
from .inbox import Delivery
from .promiserows import expiry_of, new_promise
from .records import TaskKey, TurnCommit
from .spans import SpanOf
from .starts import NewInstance, new_seed
from .streams import StreamWrites

ENDS: dict[type[events.Fact], RuntimeStatus] = {
    events.OrchestrationCompleted: RuntimeStatus.COMPLETED,
    events.OrchestrationFailed: RuntimeStatus.FAILED,
    events.OrchestrationCanceled: RuntimeStatus.CANCELED,
}
"""Facts that end an instance, and how."""

VISIBLE = (
    *(events.CustomStatusUpdated, events.KeyValueSet, events.KeyValueCleared, events.KeyValuesCleared),
    *(events.StreamItemSent, events.StreamEnded),
)
"""Facts whose effect clients can see, besides the end."""

EAGER_TOKEN = 1
"""Lease token of a task that is inserted already leased; one that waits to be claimed has 0."""

TASK = (
    *("instance_id", "execution_number", "seq", "name", "input", "tag", "session_id", "priority", "attempt"),
    *("retry", "start_to_close_ms", "expires_at", "created_at"),
    *("deliveries", "visible_at", "lease_token", "lease_owner"),
)
"""Columns of the rows of tasks: what `new_task` returns, then how it is delivered."""

Row = tuple[Any, ...]


@dataclass(slots=True)
class Effects:
    """Filled by `add`; the rows are in the column order of the statements in `turns`.

    Attributes:
        moment: Turns an aware datetime into what the database is given.
        consumed, dequeued: Ids of inbox messages and queued events.
        finished_tasks: Keys and lease tokens of tasks that must still be this worker's.
        canceled_tasks, canceled_timers, canceled_children: `(instance, execution, seq)` of what was scheduled.
        entries: KV values to write by instance and key; None deletes.
        children: Commit, seq and fact of each child to start.
        streams: What the turns send, and which streams they begin to read.
        ended, continued: Turns that ended their instance, and those that ended only their execution.
        checkpoints: `(instance, execution, seq, state)` of executions that go on.
        promises: Rows of promises to insert, in the order of `promises.COLUMNS`.
        withdrawn, expired: `(instance, execution, seq)` of promises; an expired one must still be open.
        offers_work: Whether tasks are left for any worker to claim.
    """

    moment: Callable[[datetime | None], Any]
    worker_id: str
    now: datetime
    lease: timedelta
    history: list[Row] = field(default_factory=list)
    tasks: list[Row] = field(default_factory=list)
    finished_tasks: list[Row] = field(default_factory=list)
    canceled_tasks: list[TaskKey] = field(default_factory=list)
    canceled_timers: list[TaskKey] = field(default_factory=list)
    consumed: list[int] = field(default_factory=list)
    dequeued: list[int] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    entries: dict[tuple[int, str], Row | None] = field(default_factory=dict)
    children: list[tuple[TurnCommit, int, events.SubOrchestrationScheduled]] = field(default_factory=list)
    canceled_children: set[TaskKey] = field(default_factory=set)
    streams: StreamWrites = field(default_factory=StreamWrites)
    chained: list[NewInstance] = field(default_factory=list)
    ended: list[tuple[TurnCommit, events.Fact]] = field(default_factory=list)
    continued: list[TurnCommit] = field(default_factory=list)
    checkpoints: list[Row] = field(default_factory=list)
    spans: list[SpanOf] = field(default_factory=list)
    promises: list[Row] = field(default_factory=list)
    withdrawn: list[TaskKey] = field(default_factory=list)
    expired: list[TaskKey] = field(default_factory=list)
    offers_work: bool = False

    def add(self, commit: TurnCommit) -> None:
        """Gather everything one turn writes, its guarded instance row excepted."""
        self.consumed += commit.consumed
        self.dequeued += commit.dequeued
        self.finished_tasks += [(*key, token) for key, token in commit.finished_tasks]
        tasks: dict[int, Row] = {}
        timers: dict[int, Delivery] = {}
        for event in commit.events:
            at = self.moment(event.recorded_at)
            self.history.append((commit.instance, commit.execution_number, event.seq, *event.fact.columns(), at))
            self._add_effect(commit, event, event.fact, tasks, timers)
        last = commit.events[-1].fact if commit.events else None
        if type(last) in ENDS:
            assert last is not None
            self.ended.append((commit, last))
            timers.clear()
            if not isinstance(last, events.OrchestrationCompleted):
                tasks.clear()
        elif isinstance(last, events.OrchestrationContinuedAsNew):
            self._continue(commit)
            timers.clear()
        if commit.checkpoint is not None:
            self.checkpoints.append((commit.instance, commit.execution_number, *astuple(commit.checkpoint)))
        self.spans += [SpanOf(commit.instance, commit.execution_number, each) for each in commit.spans]
        self.tasks += tasks.values()
        self.deliveries += timers.values()
        self.offers_work = self.offers_work or any(seq not in commit.eager for seq in tasks)

    def _add_effect(
        self,
        commit: TurnCommit,
        event: HistoryEvent,
        fact: events.Fact,
        tasks: dict[int, Row],
        timers: dict[int, Delivery],
    ) -> None:
        pk, execution = commit.instance, commit.execution_number
        match fact:
            case events.ActivityScheduled():
                tasks[event.seq] = self._task(commit, event, fact)
            case events.ActivityCancelRequested(scheduled_seq=seq):
                if tasks.pop(seq, None) is None:
                    self.canceled_tasks.append(TaskKey(pk, execution, seq))
            case events.TimerCreated(fire_at_ms=due):
                fired = events.TimerFired(timer_seq=event.seq)
                timers[event.seq] = Delivery(pk, fired, execution, from_epoch_ms(due))
            case events.TimerCanceled(timer_seq=seq):
                if timers.pop(seq, None) is None:
                    self.canceled_timers.append(TaskKey(pk, execution, seq))
            case events.PromiseCreated() | events.PromiseWithdrawn() | events.PromiseExpired():
                self._add_promise(TaskKey(pk, execution, event.seq), event.recorded_at, fact, timers)
            case events.SubOrchestrationScheduled():
                self.children.append((commit, event.seq, fact))
            case events.SubOrchestrationCancelRequested(scheduled_seq=seq):
                self.canceled_children.add(TaskKey(pk, execution, seq))
            case events.OrchestrationChained():
                self.chained.append(_started_by(fact, commit.traceparents.get(event.seq)))
            case (
                events.StreamItemSent()
                | events.StreamEnded()
                | events.StreamSubscribed()
                | events.StreamItemsReceived()
            ):
                self.streams.add(pk, execution, event.seq, fact, self.moment(event.recorded_at))
            case events.KeyValueSet(key=key, value=value):
                self.entries[pk, key] = (pk, key, value, self.moment(event.recorded_at))
            case events.KeyValueCleared(key=key):
                self.entries[pk, key] = None
            case events.KeyValuesCleared(keys=keys):
                self.entries.update({(pk, key): None for key in keys})
            case _:
                pass  # In the history only.

    def _task(self, commit: TurnCommit, event: HistoryEvent, fact: events.ActivityScheduled) -> Row:
        key = TaskKey(commit.instance, commit.execution_number, event.seq)
        eager = event.seq in commit.eager
        return (
            *new_task(key, fact, event.recorded_at, self.moment),
            *(int(eager), self.moment(self.now + self.lease if eager else self.now)),
            *(EAGER_TOKEN if eager else 0, self.worker_id if eager else None),
        )

    def _add_promise(self, key: TaskKey, recorded_at: datetime, fact: events.Fact, timers: dict[int, Delivery]) -> None:
        pk, execution, seq = key
        match fact:
            case events.PromiseCreated(deadline_ms=deadline):
                self.promises.append(new_promise(key, fact, recorded_at, self.moment))
                if deadline is not None:
                    timers[seq] = expiry_of(key, deadline, recorded_at)
            case events.PromiseWithdrawn(created_seq=created):
                if timers.pop(created, None) is None:
                    self.canceled_timers.append(TaskKey(pk, execution, created))
                self.withdrawn.append(TaskKey(pk, execution, created))
            case events.PromiseExpired(created_seq=created):
                self.expired.append(TaskKey(pk, execution, created))

    def _continue(self, commit: TurnCommit) -> None:
        assert commit.next_start is not None
        self.continued.append(commit)
        self.deliveries.append(Delivery(commit.instance, commit.next_start, commit.execution_number + 1))

    @property
    def reaches_out(self) -> bool:
        """Whether turns do what takes a look at what is there: to other instances, streams or promises."""
        badly = any(not isinstance(fact, events.OrchestrationCompleted) for _, fact in self.ended)
        promises = self.promises or self.withdrawn or self.expired
        return badly or bool(self.children or self.chained or self.canceled_children or self.streams or promises)

    def closed_executions(self) -> list[Row]:
        """Return `(instance, number, status, output, failure, events)` of each execution that ends."""
        closed: list[Row] = []
        for commit, fact in self.ended:
            failure = failure_to_payload(fact.failure) if isinstance(fact, events.OrchestrationFailed) else None
            closed.append(_closed(commit, ENDS[type(fact)], getattr(fact, "output", None), failure))
        for commit in self.continued:
            closed.append(_closed(commit, ExecutionStatus.CONTINUED_AS_NEW, None, None))
        return closed


def new_task(
    key: TaskKey, fact: events.ActivityScheduled, scheduled_at: datetime, moment: Callable[[datetime | None], Any]
) -> Row:
    """Return the row of a task that nothing has tried yet, in the order of `TASK` without its delivery."""
    expires_at = None
    if fact.schedule_to_close_ms is not None:
        expires_at = scheduled_at + timedelta(milliseconds=fact.schedule_to_close_ms)
    return (
        *(*key, fact.name, fact.input, fact.tag or "", fact.session_id or "", fact.priority, 1),
        *(json.dumps(fact.retry) if fact.retry else None, fact.start_to_close_ms),
        *(moment(expires_at), moment(scheduled_at)),
    )


def _closed(commit: TurnCommit, status: str, output: str | None, failure: str | None) -> Row:
    length = commit.history_length + len(commit.events)
    return commit.instance, commit.execution_number, str(status), output, failure, length


def _started_by(fact: events.OrchestrationChained, traceparent: str | None) -> NewInstance:
    return NewInstance(
        instance_id=fact.instance_id,
        orchestration=fact.name,
        version=fact.version,
        input=fact.input,
        seed=new_seed(),
        traceparent=traceparent,
    )


def end_of(commit: TurnCommit) -> RuntimeStatus:
    """Return the status of the instance after a turn."""
    return ENDS.get(type(commit.events[-1].fact), RuntimeStatus.RUNNING) if commit.events else RuntimeStatus.RUNNING


def shows(commit: TurnCommit) -> bool:
    """Tell whether clients may be waiting for what a turn changes."""
    return end_of(commit) is not RuntimeStatus.RUNNING or any(isinstance(each.fact, VISIBLE) for each in commit.events)
