"""Checkpoints of executions: written with the turn that leads to them, and read with the events after them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connections

from ..conf import settings
from ..engine.events import HistoryEvent as RecordedEvent, fact_from_columns
from ..engine.program import Checkpoint, Past
from ..models import Execution, HistoryEvent
from . import sql
from .batch import GIVEN, Batch

_PLACE = "pk bigint, number bigint"
_CHECKPOINT = f"{_PLACE}, seq bigint, state text"


def write_checkpoints(batch: Batch, checkpoints: Sequence[tuple[Any, ...]]) -> None:
    """Replace checkpoints, given as `(instance, execution number, seq, state)`, of executions that go on.

    Writes: Execution, with `batch`, which must be guarded.
    """
    batch.change(
        f"""
        UPDATE {sql.table(Execution)} AS x SET checkpoint_seq = given.seq, checkpoint = given.state
        FROM {GIVEN} WHERE x.instance_id = given.pk AND x.number = given.number
        """,
        _CHECKPOINT,
        checkpoints,
    )


def load_pasts(places: Iterable[tuple[int, int]], *, using: str | None = None) -> dict[int, Past]:
    """Return what `(instance, execution number)` pairs are rebuilt from, by instance; one query.

    Raises: ValueError: a row that cannot be decoded; load one by one to find whose it is.
    """
    places = list(places)
    if not places:
        return {}
    connection = connections[using or settings.DATABASE]
    rows = sql.fetch(
        connection,
        f"""
        SELECT x.instance_id, x.checkpoint_seq, x.checkpoint,
               e.seq, e.recorded_at, e.kind, e.name, e.source_seq, e.payload, e.data
        FROM {sql.rows(connection, "place", _PLACE)}
        JOIN {sql.table(Execution)} x ON x.instance_id = place.pk AND x.number = place.number
        LEFT JOIN {sql.table(HistoryEvent)} e ON e.instance_id = x.instance_id AND e.execution_number = x.number
         AND e.seq > COALESCE(x.checkpoint_seq, 0)
        ORDER BY x.instance_id, e.seq
        """,
        [sql.pack(_PLACE, places)],
    )
    events: dict[int, list[RecordedEvent]] = {pk: [] for pk, _ in places}
    found: dict[int, Past] = {}
    for pk, checkpoint_seq, checkpoint, seq, recorded_at, *columns in rows:
        if pk not in found:
            found[pk] = Past(events[pk], None if checkpoint_seq is None else Checkpoint(checkpoint_seq, checkpoint))
        if seq is not None:
            at = sql.read_moment(recorded_at)
            assert at is not None
            events[pk].append(RecordedEvent(seq, at, fact_from_columns(*columns)))
    return found
