"""Streams and their items."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .instances import Instance
from .lengths import NAME_LENGTH


class Stream(models.Model):
    """One stream of an instance: what whoever appends to it has to know, and locks while he does.

    So positions are committed in their order, and a reader that asks for what comes after one misses nothing.
    `last_position` counts what was appended; items behind the one at `closed_at` are not stored, and those up to
    `trimmed_to` no longer. `awaited` tells that the code of the instance reads it, and has to be told of items.
    """

    pk = models.CompositePrimaryKey("instance_id", "name")
    instance = models.ForeignKey(Instance, models.CASCADE, related_name="streams", db_index=False)
    name = models.CharField(_("stream"), max_length=NAME_LENGTH)
    last_position = models.PositiveBigIntegerField(_("last position"))
    trimmed_to = models.PositiveBigIntegerField(_("trimmed up to"), default=0, db_default=0)
    closed_at = models.PositiveBigIntegerField(_("closed at"), null=True)
    awaited = models.BooleanField(default=False)

    class Meta:
        verbose_name = _("stream")
        verbose_name_plural = _("streams")
        permissions = [("send_to_stream", _("Can send on streams and close them"))]
        default_permissions = ()

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
