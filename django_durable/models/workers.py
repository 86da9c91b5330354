"""Worker processes."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .lengths import WORKER_ID_LENGTH


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
