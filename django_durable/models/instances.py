"""Instances, their executions and histories, and what waits for them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ..engine.states import TERMINAL, ExecutionStatus, RuntimeStatus
from .lengths import INSTANCE_ID_LENGTH, NAME_LENGTH, STATUS_LENGTH, VERSION_LENGTH, WORKER_ID_LENGTH

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
