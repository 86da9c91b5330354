"""What tracing keeps."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .instances import Instance
from .lengths import NAME_LENGTH


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
