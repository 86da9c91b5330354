"""Numbers for operators: of the whole system, of its queues, of one instance."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, Func, IntegerField, Q, Sum
from django.db.models.functions import Coalesce

from .. import models
from ..engine.errors import InstanceNotFound
from ..engine.states import TERMINAL, RuntimeStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemMetrics:
    """How much there is. `instances_by_status` has every status; `total_events` counts what was not pruned."""

    total_instances: int
    total_executions: int
    total_events: int
    instances_by_status: dict[RuntimeStatus, int]

    @property
    def running_instances(self) -> int:
        """Instances that have not finished, parked ones included."""
        return sum(count for status, count in self.instances_by_status.items() if status not in TERMINAL)

    @property
    def completed_instances(self) -> int:
        return self.instances_by_status[RuntimeStatus.COMPLETED]

    @property
    def failed_instances(self) -> int:
        return self.instances_by_status[RuntimeStatus.FAILED]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDepths:
    """What waits for a worker, and what does not yet.

    Attributes:
        orchestrator_queue: Messages that can be taken by a turn now.
        timer_queue: Messages that become visible later: timers, delayed starts.
        held_messages: Messages of suspended and blocked instances.
        worker_queue: Activity tasks that can be claimed now; `worker_queue_by_tag` is the same by tag, "" for none.
        delayed_activities: Activity tasks that wait for their next attempt.
        running_activities: Activity tasks that a worker has.
    """

    orchestrator_queue: int = 0
    timer_queue: int = 0
    held_messages: int = 0
    worker_queue: int = 0
    delayed_activities: int = 0
    running_activities: int = 0
    worker_queue_by_tag: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationStats:
    """The size of one instance. History numbers are of its current execution, bytes are of UTF-8 text.

    Attributes:
        queue_pending_count: Queued events that nothing has dequeued.
        inbox_message_count: Messages that no turn has taken yet, future timers included.
    """

    execution_count: int
    history_event_count: int
    history_size_bytes: int
    queue_pending_count: int
    inbox_message_count: int
    open_activity_count: int
    kv_user_key_count: int
    kv_total_value_bytes: int


def system_metrics(*, using: str) -> SystemMetrics:
    """Count instances, executions and events by two queries, neither of which reads the events themselves."""
    rows = (
        models.Instance.objects.using(using)
        .order_by()
        .values_list("runtime_status")
        .annotate(
            instances=Count("id"),
            open_events=Sum("history_length", filter=~Q(runtime_status__in=sorted(TERMINAL)), default=0),
        )
    )
    counted = {RuntimeStatus(status): (instances, events) for status, instances, events in rows}
    ended = models.Execution.objects.using(using).aggregate(executions=Count("*"), events=Sum("event_count", default=0))
    return SystemMetrics(
        total_instances=sum(instances for instances, _ in counted.values()),
        total_executions=ended["executions"],
        total_events=ended["events"] + sum(events for _, events in counted.values()),
        instances_by_status={status: counted.get(status, (0, 0))[0] for status in RuntimeStatus},
    )


def queue_depths(*, now: datetime, using: str) -> QueueDepths:
    """Count messages and activity tasks by what they wait for, by two queries."""
    messages = models.InboxMessage.objects.using(using).aggregate(
        orchestrator_queue=Count("id", filter=Q(held=False, visible_at__lte=now)),
        timer_queue=Count("id", filter=Q(held=False, visible_at__gt=now)),
        held_messages=Count("id", filter=Q(held=True)),
    )
    due = Q(visible_at__lte=now)
    rows = (
        models.ActivityTask.objects.using(using)
        .order_by("tag")
        .values_list("tag")
        .annotate(
            ready=Count("seq", filter=due),
            delayed=Count("seq", filter=~due & Q(lease_owner__isnull=True)),
            running=Count("seq", filter=~due & Q(lease_owner__isnull=False)),
        )
    )
    tasks = list(rows)
    return QueueDepths(
        **messages,
        worker_queue=sum(ready for _, ready, _, _ in tasks),
        delayed_activities=sum(delayed for _, _, delayed, _ in tasks),
        running_activities=sum(running for _, _, _, running in tasks),
        worker_queue_by_tag={tag: ready for tag, ready, _, _ in tasks if ready},
    )


def orchestration_stats(instance_id: str, *, using: str) -> OrchestrationStats:
    """Measure one instance by six queries.

    Raises: InstanceNotFound.
    """
    found = (
        models.Instance.objects.using(using)
        .filter(instance_id=instance_id)
        .annotate(execution_count=Count("executions"))
        .values_list("id", "execution_number", "history_length", "execution_count")
        .first()
    )
    if found is None:
        raise InstanceNotFound(instance_id)
    id, number, length, executions = found
    events = models.HistoryEvent.objects.using(using).filter(instance=id, execution_number=number)
    entries = models.KeyValue.objects.using(using).filter(instance=id)
    kept = entries.aggregate(keys=Count("key"), size=Sum(_Bytes("value"), default=0))
    return OrchestrationStats(
        execution_count=executions,
        history_event_count=length,
        history_size_bytes=events.aggregate(
            size=Sum(Coalesce(_Bytes("payload"), 0) + Coalesce(_Bytes("data"), 0), default=0)
        )["size"],
        queue_pending_count=models.QueuedEvent.objects.using(using).filter(instance=id).count(),
        inbox_message_count=models.InboxMessage.objects.using(using).filter(instance=id).count(),
        open_activity_count=models.ActivityTask.objects.using(using).filter(instance=id).count(),
        kv_user_key_count=kept["keys"],
        kv_total_value_bytes=kept["size"],
    )


class _Bytes(Func):
    """Length of text as UTF-8."""

    function = "OCTET_LENGTH"
    output_field = IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        # OCTET_LENGTH came with SQLite 3.43.
        return self.as_sql(compiler, connection, template="LENGTH(CAST(%(expressions)s AS BLOB))", **context)
