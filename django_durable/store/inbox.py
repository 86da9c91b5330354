"""Delivering facts to instances: rows in their inboxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ..conf import settings
from ..engine.events import Fact, TimerFired
from ..engine.states import CLAIMABLE
from ..models import InboxMessage, Instance
from . import sql
from .records import TaskKey
from .transactions import write_transaction
from .wakeups import notify

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
    sql.insert_rows(connection, InboxMessage, COLUMNS, delivered(connection, deliveries, now))


def delivered(connection: BaseDatabaseWrapper, deliveries: Sequence[Delivery], now: datetime) -> list[tuple[Any, ...]]:
    """Return the rows of messages, in the order of `COLUMNS`."""
    created_at = sql.moment(connection, now)
    rows = []
    for each in deliveries:
        kind, name, source_seq, payload, data = each.fact.columns()
        visible_at = created_at if each.visible_at is None else sql.moment(connection, each.visible_at)
        rows.append(
            (each.instance, each.execution_number, kind, name, source_seq, payload, data, visible_at, False, created_at)
        )
    return rows


def ask_for_turn(key: TaskKey, now: datetime, *, using: str | None = None) -> None:
    """Give an instance a turn in which nothing happens but that its code is replayed; none to one that is parked.

    Writes: InboxMessage, a timer that no code waits for; one transaction.
    """
    using = using or settings.DATABASE
    with write_transaction(using):
        if Instance.objects.using(using).filter(id=key.instance, runtime_status__in=CLAIMABLE).exists():
            deliver(connections[using], [Delivery(key.instance, TimerFired(timer_seq=0), key.execution)], now)
            notify(using, messages=True)
