"""Creating instances, one or many."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.backends.base.base import BaseDatabaseWrapper

from ..engine.events import ENGINE_VERSION, OrchestrationStarted, Payload
from ..engine.states import ExecutionStatus, RuntimeStatus
from ..models import Execution, InboxMessage, Instance
from . import sql, wakeups
from .inbox import COLUMNS, Delivery, deliver

_INSTANCE = (
    *("instance_id", "orchestration", "version", "parent_id", "parent_execution", "parent_seq", "root_id"),
    "traceparent",
    *("runtime_status", "execution_number", "history_length", "custom_status_version", "revision", "lease_token"),
    *("turn_attempts", "created_at", "updated_at"),
)
_EXECUTION = ("instance_id", "number", "version", "status", "input", "started_at")
_GIVEN = (
    "instance_id text, orchestration text, version text, parent_id bigint, parent_execution bigint, parent_seq bigint, "
    "root_id bigint, traceparent text, input text, kind text, name text, source_seq bigint, payload text, data text, "
    "visible_at timestamptz, created_at timestamptz"
)
_NEW = (RuntimeStatus.PENDING.value, 1, 0, 0, 1, 0, 0)
"""Status, execution, length, version of the custom status, revision, lease token and attempts of a new instance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInstance:
    """An instance to create. `parent`, `root` are surrogate ids; `seed` is drawn anew for every start.

    `traceparent` is the span that it runs under (W3C Trace Context). `start_at` delays the first turn; `None` starts at
    once.
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
    traceparent: str | None = None
    start_at: datetime | None = None


def new_seed() -> str:
    """Draw the seed of an instance. Guids derived from it must never repeat, not even those of another database."""
    return secrets.token_hex(16)


def insert_instances(
    connection: BaseDatabaseWrapper, rows: Sequence[NewInstance], now: datetime, *, notify: bool = False
) -> dict[str, int]:
    """Create the instances whose id is free, each with its first execution and its start message.

    Args:
        notify: Tell listeners that there is work. Whoever writes more in its transaction does so itself, once.
    Returns: surrogate ids of those created, by instance id. One that is missing there was taken; nothing was written
        for it. Of two rows with the same id the first counts.
    Writes: Instance, Execution, InboxMessage; in the transaction that is open.
    """
    unique = list({row.instance_id: row for row in reversed(rows)}.values())[::-1]
    if not unique:
        return {}
    if sql.one_writer(connection):
        return _insert_in_turn(connection, unique, now)
    return _insert_at_once(connection, unique, now, wakeups.notices_of(connection, messages=notify))


def _insert_at_once(
    connection: BaseDatabaseWrapper, rows: Sequence[NewInstance], now: datetime, notices: Sequence[wakeups.Notice]
) -> dict[str, int]:
    """Insert into the three tables, and notify, by one statement: what a start costs is its round trips."""
    at = sql.moment(connection, now)
    calls, payloads = wakeups.calls(notices)
    given = [
        (
            *(row.instance_id, row.orchestration, row.version),
            *(row.parent, row.parent_execution, row.parent_seq, row.root, row.traceparent, row.input),
            *(*_first_fact(row).columns(), sql.moment(connection, row.start_at) or at, at),
        )
        for row in rows
    ]
    created = sql.fetch(
        connection,
        f"""
        WITH given AS MATERIALIZED (SELECT * FROM {sql.rows(connection, "rows", _GIVEN, looked_up=False)}),
        created AS (
            INSERT INTO {sql.table(Instance)} ({", ".join(_INSTANCE)})
            SELECT {", ".join(_INSTANCE[:8])}, {sql.marks(_NEW)}, created_at, created_at FROM given
            ON CONFLICT (instance_id) DO NOTHING RETURNING id, instance_id
        ),
        executions AS (
            INSERT INTO {sql.table(Execution)} ({", ".join(_EXECUTION)})
            SELECT created.id, 1, version, '{ExecutionStatus.RUNNING}', input, created_at
            FROM created JOIN given USING (instance_id)
        ),
        messages AS (
            INSERT INTO {sql.table(InboxMessage)} ({", ".join(COLUMNS)})
            SELECT created.id, 1, kind, name, source_seq, payload, data, visible_at, FALSE, created_at
            FROM created JOIN given USING (instance_id)
        )
        SELECT {", ".join(("instance_id", "id", *calls))} FROM created
        """,
        [sql.pack(_GIVEN, given), *_NEW, *payloads],
    )
    return {row[0]: row[1] for row in created}


def _insert_in_turn(connection: BaseDatabaseWrapper, rows: Sequence[NewInstance], now: datetime) -> dict[str, int]:
    """Insert into one table after the other: SQLite takes no INSERT within a statement."""
    at = sql.moment(connection, now)
    instances = [
        (
            *(row.instance_id, row.orchestration, row.version),
            *(row.parent, row.parent_execution, row.parent_seq, row.root, row.traceparent, *_NEW, at, at),
        )
        for row in rows
    ]
    taken = "ON CONFLICT (instance_id) DO NOTHING RETURNING instance_id, id"
    created: dict[str, int] = dict(sql.insert_rows(connection, Instance, _INSTANCE, instances, taken))
    new = [(created[row.instance_id], row) for row in rows if row.instance_id in created]
    executions = [(pk, 1, row.version, ExecutionStatus.RUNNING.value, row.input, at) for pk, row in new]
    sql.insert_rows(connection, Execution, _EXECUTION, executions)
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
        engine_version=ENGINE_VERSION,
        parent_instance_id=row.parent_instance_id,
    )
