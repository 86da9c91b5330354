"""Open activities, and the sessions that keep them together."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .instances import Instance
from .lengths import NAME_LENGTH, WORKER_ID_LENGTH


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
