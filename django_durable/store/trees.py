"""Instances locked together with their descendants, so that nothing can join the tree while something is done to it.

A child is inserted by a turn of its parent, and a turn's commit begins by updating the parent's row. So whoever has
locked a row, and then reads its children, has read all there will be. The walk goes level by level for that reason, and
locks each level in the order of ids, as turns are committed, so that two of them do not wait for each other. The locks
leave the key alone: a sender, whose foreign key check locks it, is not kept waiting.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from .. import models
from ..engine.states import TERMINAL, RuntimeStatus

CHUNK = 1_000
"""Most ids in one statement."""


@dataclass(frozen=True, slots=True)
class Locked:
    """What is needed of an instance's row while it is locked."""

    id: int
    instance_id: str
    runtime_status: RuntimeStatus
    execution_number: int
    history_length: int
    parent: int | None
    parent_execution: int | None
    parent_seq: int | None
    root: int | None

    @property
    def live(self) -> bool:
        return self.runtime_status not in TERMINAL


def lock(condition: Q, *, using: str) -> list[Locked]:
    """Lock the rows of instances until the transaction ends, in the order of their ids."""
    rows = models.Instance.objects.using(using).filter(condition).order_by("id").select_for_update(no_key=True)
    columns = rows.values_list(
        "id", "instance_id", "runtime_status", "execution_number", "history_length", "parent_id", "parent_execution",
        "parent_seq", "root_id",
    )  # fmt: skip
    return [
        Locked(id, instance_id, RuntimeStatus(status), number, length, parent, execution, seq, root)
        for id, instance_id, status, number, length, parent, execution, seq, root in columns
    ]


def descendants(parents: Collection[int], *, using: str) -> list[Locked]:
    """Lock all descendants of instances that are locked already, parents before children."""
    found: list[Locked] = []
    level = list(parents)
    while level:
        children = [each for part in chunks(level) for each in lock(Q(parent__in=part), using=using)]
        found += children
        level = [each.id for each in children]
    return found


def chunks(ids: Collection[int]) -> Iterator[list[int]]:
    """Yield ids in lists that fit one statement."""
    every = sorted(ids)
    for start in range(0, len(every), CHUNK):
        yield every[start : start + CHUNK]


def delete_rows(found: QuerySet[Any]) -> int:
    """Delete rows by one statement and return how many. What refers to them is the caller's; no signal is sent."""
    return int(found._raw_delete(found.db))
