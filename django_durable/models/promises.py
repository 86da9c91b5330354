"""What somebody outside settles."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ..engine.states import PromiseOutcome
from .instances import Instance
from .lengths import NAME_LENGTH, STATUS_LENGTH

PROMISE_LABELS = {
    PromiseOutcome.OPEN: _("Open"),
    PromiseOutcome.COMPLETED: _("Completed"),
    PromiseOutcome.FAILED: _("Failed"),
    PromiseOutcome.EXPIRED: _("Expired"),
    PromiseOutcome.WITHDRAWN: _("Withdrawn"),
}


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
