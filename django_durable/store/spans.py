"""Spans beside the histories: written with what they tell of, read for whoever shows or exports them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

from ..engine.errors import InstanceNotFound
from ..engine.spans import SpanRecord
from ..models import Instance, TraceSpan
from . import sql
from .batch import Batch

_COLUMNS = (
    *("instance_id", "execution_number", "span_id", "parent_id", "kind", "name", "seq"),
    *("started_at", "ended_at", "data"),
)
_KEY = ("instance_id", "execution_number", "span_id")
_CHANGES = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in _KEY)


class SpanOf(NamedTuple):
    """A span and whose it is: surrogate id of the instance, execution number."""

    instance: int
    execution: int
    record: SpanRecord


def write_spans(connection: BaseDatabaseWrapper, spans: Sequence[SpanOf]) -> None:
    """Insert spans, or bring those up to date that are there; those of deleted instances are left out.

    Without spans nothing is asked of the database.
    Writes: TraceSpan; in the transaction that is open.
    """
    if not spans:
        return
    found = Instance.objects.using(connection.alias).filter(id__in={each.instance for each in spans})
    there = set(found.values_list("id", flat=True))
    batch = Batch(connection)
    add_spans(batch, [each for each in spans if each.instance in there])
    batch.run()


def add_spans(batch: Batch, spans: Sequence[SpanOf]) -> None:
    """Insert spans, or bring those up to date that are there.

    Writes: TraceSpan, with `batch`, which must hold the rows of their instances.
    """
    latest = {(each.instance, each.execution, each.record.span_id): each.record for each in spans}
    rows = [
        (
            *(*key, record.parent_id, record.kind, record.name, record.seq),
            *(sql.moment(batch.connection, record.started_at), sql.moment(batch.connection, record.ended_at)),
            json.dumps(record.as_data(), ensure_ascii=False),
        )
        for key, record in latest.items()
    ]
    batch.insert(TraceSpan, _COLUMNS, rows, f"ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET {_CHANGES}")


def spans_of(instance: int, execution: int, *, limit: int, using: str) -> list[SpanRecord]:
    """Read the first spans of one execution, oldest first. One query."""
    rows = (
        TraceSpan.objects.using(using)
        .filter(instance=instance, execution_number=execution)
        .order_by("started_at", "span_id")
        .values_list("span_id", "parent_id", "kind", "name", "seq", "started_at", "ended_at", "data")
    )
    return [
        SpanRecord(
            span_id=span, parent_id=parent, kind=kind, name=name, seq=seq, started_at=start, ended_at=end,
            **json.loads(data),
        )
        for span, parent, kind, name, seq, start, end, data in rows[:limit]
    ]  # fmt: skip


def surrogate_id_of(instance_id: str, *, using: str) -> int:
    """Return the surrogate id of an instance. Raises: InstanceNotFound."""
    found = Instance.objects.using(using).filter(instance_id=instance_id).values_list("id", flat=True).first()
    if found is None:
        raise InstanceNotFound(instance_id)
    return found
