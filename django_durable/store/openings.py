"""When what has ended was asked for, for traces."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from ..models import HistoryEvent


class Opening(NamedTuple):
    """The event that something began with, and the name that it is given there."""

    seq: int
    kind: str
    name: str | None
    recorded_at: datetime


def load_openings(instance: int, execution: int, seqs: Collection[int], *, using: str) -> dict[int, Opening]:
    """Return events of an execution by their seq; one query."""
    found = HistoryEvent.objects.using(using).filter(instance=instance, execution_number=execution, seq__in=seqs)
    return {row[0]: Opening(*row) for row in found.values_list("seq", "kind", "name", "recorded_at")}
