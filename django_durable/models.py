"""The tables: columns, constraints, indexes. No behaviour; every statement that touches them stands in `store/`.

Theory of operation.

* `Instance` is one row per instance, updated once per turn. The columns a turn changes (lease, revision, lengths) are
  in no index, and its pages are filled to 70 %, so PostgreSQL updates the row in place. Payloads are not kept in it,
  for the same reason.
* What can be claimed is found through `InboxMessage`: a message is visible from `visible_at` on (a timer is a message
  that is visible later). Senders only insert, so a sender inside a long transaction of the caller never holds a lock
  that a turn needs. Messages of parked instances are `held`, outside the index that claiming reads.
* Every `ActivityTask` is open: the row is deleted with the commit that records its outcome. `visible_at` is when it may
  be claimed: when due, or when the lease of whoever holds it ends.
* Everything an instance owns has the instance as leading key. The surrogate id is new for every start, so work left
  over from a deleted instance can never touch a re-created one.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .engine.states import TERMINAL, ExecutionStatus, PromiseOutcome, RuntimeStatus

NAME_LENGTH = 255
INSTANCE_ID_LENGTH = 512
VERSION_LENGTH = 64
STATUS_LENGTH = 16
WORKER_ID_LENGTH = 255

_TERMINAL = sorted(TERMINAL)
STATUS_LABELS = {
    RuntimeStatus.PENDING: _("Pending"),
    RuntimeStatus.RUNNING: _("Running"),
    RuntimeStatus.COMPLETED: _("Completed"),
    RuntimeStatus.FAILED: _("Failed"),
    RuntimeStatus.CANCELED: _("Canceled"),
    RuntimeStatus.TERMINATED: _("Terminated"),
    RuntimeStatus.SUSPENDED: _("Suspended"),
    RuntimeStatus.BLOCKED: _("Blocked"),
}
PROMISE_LABELS = {
    PromiseOutcome.OPEN: _("Open"),
    PromiseOutcome.COMPLETED: _("Completed"),
    PromiseOutcome.FAILED: _("Failed"),
    PromiseOutcome.EXPIRED: _("Expired"),
    PromiseOutcome.WITHDRAWN: _("Withdrawn"),
}


class Instance(models.Model):
    """One started orchestration."""

    id = models.BigAutoField(primary_key=True)
    instance_id = models.CharField(_("instance id"), max_length=INSTANCE_ID_LENGTH, unique=True)
    orchestration = models.CharField(_("orchestration"), max_length=NAME_LENGTH)
    version = models.CharField(_("version"), max_length=VERSION_LENGTH)
    runtime_status = models.CharField(
        _("status"),
        max_length=STATUS_LENGTH,
        default=RuntimeStatus.PENDING.value,
        choices=[(status.value, label) for status, label in STATUS_LABELS.items()],
    )
    execution_number = models.PositiveIntegerField(_("execution"), default=1)
    history_length = models.PositiveIntegerField(_("events"), default=0)
    parent = models.ForeignKey(
        "self", models.CASCADE, null=True, related_name="children", verbose_name=_("parent"), db_index=False
    )
    parent_execution = models.PositiveIntegerField(null=True)
    parent_seq = models.PositiveIntegerField(null=True)
    root = models.ForeignKey(
        "self", models.CASCADE, null=True, related_name="descendants", verbose_name=_("root"), db_index=False
    )
    traceparent = models.CharField(max_length=55, null=True)  # noqa: DJ001 - NULL where nothing is traced
    custom_status = models.TextField(_("custom status"), null=True)  # noqa: DJ001 - JSON text, NULL where never set
    custom_status_version = models.PositiveIntegerField(default=0)
    revision = models.PositiveBigIntegerField(_("revision"), default=1)
    blocked_reason = models.TextField(_("blocked because"), null=True)  # noqa: DJ001 - JSON text of a failure
    lease_token = models.PositiveBigIntegerField(default=0)
    lease_owner = models.CharField(max_length=WORKER_ID_LENGTH, null=True)  # noqa: DJ001 - NULL is "nobody"
    lease_until = models.DateTimeField(null=True)
    turn_attempts = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(_("created"))
    started_at = models.DateTimeField(_("started"), null=True)
    updated_at = models.DateTimeField(_("updated"))
    completed_at = models.DateTimeField(_("completed"), null=True)

    class Meta:
        verbose_name = _("instance")
        verbose_name_plural = _("instances")
        ordering = ("-id",)
        permissions = [
            ("start_instance", _("Can start instances")),
            ("signal_instance", _("Can raise events and enqueue messages")),
            ("cancel_instance", _("Can cancel instances")),
            ("terminate_instance", _("Can terminate instances")),
            ("suspend_instance", _("Can suspend and resume instances")),
            ("retry_instance", _("Can retry instances")),
            ("prune_instance", _("Can prune executions")),
            ("view_payload", _("Can see inputs, outputs and histories")),
        ]
        constraints = [
            models.CheckConstraint(
                name="durable_instance_status", condition=Q(runtime_status__in=sorted(RuntimeStatus))
            ),
            models.CheckConstraint(
                name="durable_instance_completed",
                condition=Q(runtime_status__in=_TERMINAL, completed_at__isnull=False)
                | (~Q(runtime_status__in=_TERMINAL) & Q(completed_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="durable_instance_lease",
                condition=Q(lease_owner__isnull=True, lease_until__isnull=True)
                | Q(lease_owner__isnull=False, lease_until__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["runtime_status", "-id"], name="durable_instance_by_status"),
            models.Index(fields=["orchestration", "-id"], name="durable_instance_by_name"),
            models.Index(fields=["orchestration", "version", "-id"], name="durable_instance_by_version"),
            models.Index(fields=["created_at"], name="durable_instance_by_start"),
            models.Index(fields=["parent"], name="durable_instance_by_parent", condition=Q(parent__isnull=False)),
            models.Index(fields=["root"], name="durable_instance_by_root", condition=Q(root__isnull=False)),
            # With the status: what ended lately is counted by it without a look at the rows.
            models.Index(
                fields=["completed_at", "runtime_status"],
                name="durable_instance_by_end",
                condition=Q(completed_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.instance_id


class Execution(models.Model):
    """One generation of an instance; continue-as-new ends one and starts the next."""

    pk = models.CompositePrimaryKey("instance_id", "number")
    instance = models.ForeignKey(Instance, models.CASCADE, related_name="executions", db_index=False)
    number = models.PositiveIntegerField(_("number"))
    version = models.CharField(_("version"), max_length=VERSION_LENGTH)
    status = models.CharField(
        _("status"),
        max_length=STATUS_LENGTH,
        default=ExecutionStatus.RUNNING.value,
        choices=[(status.value, status.value) for status in ExecutionStatus],
    )
    input = models.TextField(_("input"))
    output = models.TextField(_("output"), null=True)  # noqa: DJ001 - JSON text
    failure = models.TextField(_("failure"), null=True)  # noqa: DJ001 - JSON text
    checkpoint = models.TextField(null=True)  # noqa: DJ001 - JSON text, while a checkpointed program runs
    checkpoint_seq = models.PositiveIntegerField(null=True)
    event_count = models.PositiveIntegerField(_("events"), null=True)
    started_at = models.DateTimeField(_("started"))
    completed_at = models.DateTimeField(_("completed"), null=True)

    class Meta:
        verbose_name = _("execution")
        verbose_name_plural = _("executions")
        constraints = [
            models.CheckConstraint(name="durable_execution_status", condition=Q(status__in=sorted(ExecutionStatus))),
            models.CheckConstraint(
                name="durable_execution_completed",
                condition=Q(status="Running", completed_at__isnull=True)
                | (~Q(status="Running") & Q(completed_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="durable_execution_checkpoint",
                condition=Q(checkpoint__isnull=True, checkpoint_seq__isnull=True)
                | Q(checkpoint__isnull=False, checkpoint_seq__isnull=False, status="Running"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.instance_id}#{self.number}"


class HistoryEvent(models.Model):
    """One recorded fact of one execution. Append-only. Columns as in `engine.events.Columns`."""

    pk = models.CompositePrimaryKey("instance_id", "execution_number", "seq")
    # No constraint: rows are only inserted by a transaction that has updated, and so locked, the instance.
    instance = models.ForeignKey(Instance, models.CASCADE, related_name="events", db_index=False, db_constraint=False)
    execution_number = models.PositiveIntegerField(_("execution"))
    seq = models.PositiveIntegerField(_("event"))
    kind = models.CharField(_("kind"), max_length=64)
    name = models.CharField(_("name"), max_length=INSTANCE_ID_LENGTH, null=True)  # noqa: DJ001 - not every kind has one
    source_seq = models.PositiveIntegerField(_("of event"), null=True)
    payload = models.TextField(_("payload"), null=True)  # noqa: DJ001 - JSON text
    data = models.TextField(_("data"), null=True)  # noqa: DJ001 - JSON text
    recorded_at = models.DateTimeField(_("recorded"))

    class Meta:
        verbose_name = _("history event")
        verbose_name_plural = _("history events")

    def __str__(self) -> str:
        return f"{self.seq} {self.kind}"


class InboxMessage(models.Model):
    """A fact delivered to an instance and not yet turned into an event. Columns as in `engine.events.Columns`.

    `execution_number` is set where the fact answers a command of that execution; a later execution ignores it.
    """

    id = models.BigAutoField(primary_key=True)
    instance = models.ForeignKey(Instance, models.CASCADE, related_name="inbox", db_index=False)
    execution_number = models.PositiveIntegerField(null=True)
    kind = models.CharField(_("kind"), max_length=64)
    name = models.CharField(_("name"), max_length=INSTANCE_ID_LENGTH, null=True)  # noqa: DJ001
    source_seq = models.PositiveIntegerField(null=True)
    payload = models.TextField(_("payload"), null=True)  # noqa: DJ001 - JSON text
    data = models.TextField(null=True)  # noqa: DJ001 - JSON text
    visible_at = models.DateTimeField(_("visible from"))
    held = models.BooleanField(default=False)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("inbox message")
        verbose_name_plural = _("inbox messages")
        indexes = [
            models.Index(fields=["visible_at", "instance"], name="durable_inbox_visible", condition=Q(held=False)),
            models.Index(fields=["instance", "visible_at"], name="durable_inbox_by_instance"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} for {self.instance_id}"


class ActivityTask(models.Model):
    """The claimable row of one scheduled activity; deleted when its outcome is recorded."""

    pk = models.CompositePrimaryKey("instance_id", "execution_number", "seq")
    instance = models.ForeignKey(
        Instance, models.CASCADE, related_name="activity_tasks", db_index=False, db_constraint=False
    )
    execution_number = models.PositiveIntegerField(_("execution"))
    seq = models.PositiveIntegerField(_("event"))
    name = models.CharField(_("activity"), max_length=NAME_LENGTH)
    input = models.TextField(_("input"))
    tag = models.CharField(_("tag"), max_length=NAME_LENGTH, default="", blank=True)
    session_id = models.CharField(_("session"), max_length=NAME_LENGTH, default="", blank=True)
    priority = models.IntegerField(_("priority"), default=0)
    attempt = models.PositiveIntegerField(_("attempt"), default=1)
    deliveries = models.PositiveIntegerField(_("deliveries"), default=0)
    retry = models.TextField(null=True)  # noqa: DJ001 - JSON text of a RetryPolicy
    start_to_close_ms = models.PositiveBigIntegerField(null=True)
    expires_at = models.DateTimeField(null=True)
    failures = models.TextField(null=True)  # noqa: DJ001 - JSON list of the attempts that failed so far
    heartbeat = models.TextField(null=True)  # noqa: DJ001 - JSON text of the last heartbeat's details
    visible_at = models.DateTimeField(_("visible from"))
    lease_token = models.PositiveBigIntegerField(default=0)
    lease_owner = models.CharField(max_length=WORKER_ID_LENGTH, null=True)  # noqa: DJ001 - NULL is "nobody"
    created_at = models.DateTimeField(_("scheduled"))

    class Meta:
        verbose_name = _("activity task")
        verbose_name_plural = _("activity tasks")
        indexes = [
            models.Index(fields=["tag", "-priority", "visible_at", "instance", "seq"], name="durable_task_first"),
            models.Index(fields=["visible_at"], name="durable_task_visible"),
            models.Index(fields=["expires_at"], name="durable_task_expires", condition=Q(expires_at__isnull=False)),
            models.Index(fields=["session_id"], name="durable_task_by_session", condition=~Q(session_id="")),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.instance_id}"


class KeyValue(models.Model):
    """One KV entry of an instance, as of its last committed turn."""

    pk = models.CompositePrimaryKey("instance_id", "key")
    instance = models.ForeignKey(Instance, models.CASCADE, related_name="key_values", db_index=False)
    key = models.CharField(_("key"), max_length=NAME_LENGTH)
    value = models.TextField(_("value"))
    updated_at = models.DateTimeField(_("updated"))

    class Meta:
        verbose_name = _("KV entry")
        verbose_name_plural = _("KV entries")

    def __str__(self) -> str:
        return self.key


class TraceSpan(models.Model):
    """One span: a turn, an attempt of an activity, or one that the author opened; see `engine.spans.SpanRecord`."""

    pk = models.CompositePrimaryKey("instance_id", "execution_number", "span_id")
    instance = models.ForeignKey(Instance, models.CASCADE, related_name="spans", db_index=False, db_constraint=False)
    execution_number = models.PositiveIntegerField(_("execution"))
    span_id = models.CharField(_("span"), max_length=64)
    parent_id = models.CharField(max_length=64, null=True)  # noqa: DJ001 - NULL is "the execution itself"
    kind = models.CharField(_("kind"), max_length=16)
    name = models.CharField(_("name"), max_length=NAME_LENGTH)
    seq = models.PositiveIntegerField(_("event"), null=True)
    started_at = models.DateTimeField(_("started"))
    ended_at = models.DateTimeField(_("ended"), null=True)
    data = models.TextField(default="{}")

    class Meta:
        verbose_name = _("span")
        verbose_name_plural = _("spans")

    def __str__(self) -> str:
        return self.name


class QueuedEvent(models.Model):
    """One message of an instance's event queue that nothing has dequeued yet; FIFO by id within a queue."""

    id = models.BigAutoField(primary_key=True)
    instance = models.ForeignKey(Instance, models.CASCADE, related_name="queued_events", db_index=False)
    queue = models.CharField(_("queue"), max_length=NAME_LENGTH)
    payload = models.TextField(_("payload"))
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("queued event")
        verbose_name_plural = _("queued events")
        indexes = [models.Index(fields=["instance", "queue", "id"], name="durable_queued_event_fifo")]

    def __str__(self) -> str:
        return f"{self.queue} of {self.instance_id}"


class Promise(models.Model):
    """What an execution waits for and somebody outside settles; a request, where it has a question.

    It is open while `outcome` is empty and the execution is the one that its instance is in; what an end leaves behind
    is not touched. A settled one stays as the record of who settled it, as long as its execution.
    """

    id = models.BigAutoField(primary_key=True)
    # No constraint: rows are only inserted by a transaction that has updated, and so locked, the instance.
    instance = models.ForeignKey(Instance, models.CASCADE, related_name="promises", db_index=False, db_constraint=False)
    execution_number = models.PositiveIntegerField(_("execution"))
    seq = models.PositiveIntegerField(_("event"))
    promise_id = models.CharField(_("promise id"), max_length=NAME_LENGTH)
    name = models.CharField(_("name"), max_length=NAME_LENGTH)
    question = models.TextField(_("question"), null=True)  # noqa: DJ001 - JSON text, NULL where nobody is asked
    answer = models.TextField(null=True)  # noqa: DJ001 - JSON Schema of the result
    assignee = models.CharField(_("assignee"), max_length=NAME_LENGTH, default="", blank=True)
    expires_at = models.DateTimeField(_("deadline"), null=True)
    created_at = models.DateTimeField(_("asked"))
    outcome = models.CharField(
        _("outcome"),
        max_length=STATUS_LENGTH,
        default="",
        choices=[(each.value, label) for each, label in PROMISE_LABELS.items()],
    )
    settled_at = models.DateTimeField(_("settled"), null=True)
    settled_by = models.CharField(_("settled by"), max_length=NAME_LENGTH, default="", blank=True)

    class Meta:
        verbose_name = _("request")
        verbose_name_plural = _("requests")
        ordering = ("-created_at",)
        permissions = [("answer_promise", _("Can answer requests and settle promises"))]
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["instance", "execution_number", "seq"], name="durable_promise_place"),
            models.CheckConstraint(
                name="durable_promise_settled",
                condition=Q(outcome="", settled_at__isnull=True) | (~Q(outcome="") & Q(settled_at__isnull=False)),
            ),
        ]
        indexes = [
            models.Index(fields=["assignee", "created_at"], name="durable_promise_open", condition=Q(outcome="")),
            models.Index(fields=["created_at"], name="durable_promise_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.instance_id}"


class Stream(models.Model):
    """One stream of an instance: what whoever appends to it has to know, and locks while he does.

    So positions are committed in their order, and a reader that asks for what comes after one misses nothing.
    `last_position` counts what was appended; items behind the one at `closed_at` are not stored. `awaited` tells that
    the code of the instance reads it, and has to be told of items.
    """

    pk = models.CompositePrimaryKey("instance_id", "name")
    instance = models.ForeignKey(Instance, models.CASCADE, related_name="streams", db_index=False)
    name = models.CharField(_("stream"), max_length=NAME_LENGTH)
    last_position = models.PositiveBigIntegerField(_("last position"))
    closed_at = models.PositiveBigIntegerField(_("closed at"), null=True)
    awaited = models.BooleanField(default=False)

    class Meta:
        verbose_name = _("stream")
        verbose_name_plural = _("streams")

    def __str__(self) -> str:
        return self.name


class StreamItem(models.Model):
    """One item of a stream; append-only. One that `closes` is its end, with the reason as its payload.

    `execution_number` and `source_seq` are the event or activity that sent it, NULL where somebody outside did.
    """

    pk = models.CompositePrimaryKey("instance_id", "stream", "position")
    # No constraint: rows are only inserted by a transaction that has locked the stream, which has one.
    instance = models.ForeignKey(
        Instance, models.CASCADE, related_name="stream_items", db_index=False, db_constraint=False
    )
    stream = models.CharField(_("stream"), max_length=NAME_LENGTH)
    position = models.PositiveBigIntegerField(_("position"))
    payload = models.TextField(_("payload"))
    closes = models.BooleanField(default=False)
    execution_number = models.PositiveIntegerField(null=True)
    source_seq = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField(_("sent"))

    class Meta:
        verbose_name = _("stream item")
        verbose_name_plural = _("stream items")

    def __str__(self) -> str:
        return f"{self.stream} {self.position}"


class Session(models.Model):
    """Affinity of the activities that name one session to the worker that owns it."""

    session_id = models.CharField(_("session"), max_length=NAME_LENGTH, primary_key=True)
    worker_id = models.CharField(_("worker"), max_length=WORKER_ID_LENGTH)
    lease_until = models.DateTimeField(_("leased until"))
    last_activity_at = models.DateTimeField(_("last activity"))

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")

    def __str__(self) -> str:
        return self.session_id


class Worker(models.Model):
    """A worker process, as of its last heartbeat."""

    worker_id = models.CharField(_("worker"), max_length=WORKER_ID_LENGTH, primary_key=True)
    host = models.CharField(_("host"), max_length=255)
    pid = models.PositiveIntegerField(_("process"))
    tags = models.TextField(_("serves"))
    concurrency = models.PositiveIntegerField(_("concurrency"))
    metrics = models.TextField(default="{}")
    started_at = models.DateTimeField(_("started"))
    heartbeat_at = models.DateTimeField(_("last heartbeat"))
    stopping = models.BooleanField(_("stopping"), default=False)

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")

    def __str__(self) -> str:
        return self.worker_id
