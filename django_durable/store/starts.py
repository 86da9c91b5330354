"""Creating instances, one or many."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.backends.base.base import BaseDatabaseWrapper

from ..engine.events import OrchestrationStarted, Payload
from ..engine.states import ExecutionStatus, RuntimeStatus
from ..models import Execution, Instance
from . import sql
from .inbox import Delivery, deliver

_INSTANCE = (
    "instance_id",
    "orchestration",
    "version",
    "runtime_status",
    "execution_number",
    "history_length",
    "parent_id",
    "parent_execution",
    "parent_seq",
    "root_id",
    "custom_status_version",
    "revision",
    "lease_token",
    "turn_attempts",
    "created_at",
    "updated_at",
)
_EXECUTION = ("instance_id", "number", "version", "status", "input", "started_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInstance:
    """An instance to create. `parent`, `root` are surrogate ids; `seed` is drawn anew for every start.

    `start_at` delays the first turn; `None` starts at once.
    """

    instance_id: str
    orchestration: str
    version: str
    input: Payload
    seed: str
    parent: int | None = None
    parent_instance_id: str | None = None
    parent_execution: int | None = None
    parent_seq: int | None = None
    root: int | None = None
    start_at: datetime | None = None


def new_seed() -> str:
    """Draw the seed of an instance. Guids derived from it must never repeat, not even those of another database."""
    return secrets.token_hex(16)


def insert_instances(connection: BaseDatabaseWrapper, rows: Sequence[NewInstance], now: datetime) -> dict[str, int]:
    """Create the instances whose id is free, each with its first execution and its start message.

    Returns: surrogate ids of those created, by instance id. One that is missing there was taken; nothing was written
        for it. Of two rows with the same id the first counts.
    Writes: Instance, Execution, InboxMessage; in the transaction that is open.
    """
    unique = list({row.instance_id: row for row in reversed(rows)}.values())[::-1]
    at = sql.moment(connection, now)
    inserted = sql.insert_rows(
        connection,
        Instance,
        _INSTANCE,
        [
            (
                *(row.instance_id, row.orchestration, row.version, RuntimeStatus.PENDING.value, 1, 0),
                *(row.parent, row.parent_execution, row.parent_seq, row.root),
                *(0, 1, 0, 0, at, at),
            )
            for row in unique
        ],
        "ON CONFLICT (instance_id) DO NOTHING RETURNING instance_id, id",
    )
    created: dict[str, int] = dict(inserted)
    new = [(created[row.instance_id], row) for row in unique if row.instance_id in created]
    sql.insert_rows(
        connection,
        Execution,
        _EXECUTION,
        [(pk, 1, row.version, ExecutionStatus.RUNNING.value, row.input, at) for pk, row in new],
    )
    deliver(connection, [Delivery(pk, _first_fact(row), 1, row.start_at) for pk, row in new], now)
    return created


def _first_fact(row: NewInstance) -> OrchestrationStarted:
    return OrchestrationStarted(
        name=row.orchestration,
        version=row.version,
        input=row.input,
        instance_id=row.instance_id,
        execution=1,
        seed=row.seed,
        parent_instance_id=row.parent_instance_id,
    )
