"""Delivering facts to instances: rows in their inboxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.backends.base.base import BaseDatabaseWrapper

from ..engine.events import Fact
from ..models import InboxMessage
from . import sql

COLUMNS = (
    "instance_id",
    "execution_number",
    "kind",
    "name",
    "source_seq",
    "payload",
    "data",
    "visible_at",
    "held",
    "created_at",
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A fact for an instance (surrogate id). `execution_number` is set where it answers a command of that execution;
    `visible_at` where it is to arrive later."""

    instance: int
    fact: Fact
    execution_number: int | None = None
    visible_at: datetime | None = None


def deliver(connection: BaseDatabaseWrapper, deliveries: Sequence[Delivery], now: datetime) -> None:
    """Insert messages; one statement for up to some hundreds.

    Writes: InboxMessage; in the transaction that is open.
    """
    created_at = sql.moment(connection, now)
    rows = []
    for each in deliveries:
        kind, name, source_seq, payload, data = each.fact.columns()
        visible_at = created_at if each.visible_at is None else sql.moment(connection, each.visible_at)
        rows.append(
            (each.instance, each.execution_number, kind, name, source_seq, payload, data, visible_at, False, created_at)
        )
    sql.insert_rows(connection, InboxMessage, COLUMNS, rows)
