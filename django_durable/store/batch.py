"""The writes of one transaction that need nothing of each other, in as few round trips as the database allows.

PostgreSQL takes them as the parts of one statement. All parts see the tables as they were before it, in no order; so no
row may be written by two of them, except that several may delete it. SQLite takes one after the other: it has no such
statement, and a round trip costs nothing there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from . import sql

GIVEN = "{given}"
"""Stands in a statement for the FROM item `given`, which has the rows."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One write. `params` come after the rows; where `missing` is given, each row has to change one."""

    statement: str
    columns: str
    rows: Sequence[Sequence[Any]]
    params: tuple[Any, ...]
    missing: Exception | None
    alone: Callable[[], int]


class Batch:
    """Collects writes, and carries them out with `run`. What has no rows costs nothing."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._parts: list[_Part] = []

    def insert(
        self, model: type[Model], columns: Sequence[str], rows: Sequence[Sequence[Any]], suffix: str = ""
    ) -> None:
        """Insert rows; `suffix` may be an ON CONFLICT clause."""
        if not rows:
            return

        def alone() -> int:
            sql.insert_rows(self._connection, model, columns, rows, suffix)
            return len(rows)

        statement = f"INSERT INTO {sql.table(model)} ({', '.join(columns)}) SELECT * FROM {GIVEN} WHERE TRUE {suffix}"
        self._parts.append(_Part(statement, sql.typed(model, tuple(columns)), rows, (), None, alone))

    def change(
        self,
        statement: str,
        columns: str,
        rows: Sequence[Sequence[Any]],
        params: Sequence[Any] = (),
        *,
        missing: Exception | None = None,
    ) -> None:
        """Update or delete what `rows` names.

        Args:
            statement: With `GIVEN` before every other parameter.
            columns: Names and types of the rows, as for `sql.rows`.
            missing: Raised by `run` where fewer rows are changed than are given.
        """
        if not rows:
            return

        def alone() -> int:
            given = sql.rows(self._connection, "given", columns, len(rows))
            return sql.execute(self._connection, statement.replace(GIVEN, given), [sql.pack(columns, rows), *params])

        self._parts.append(_Part(statement, columns, rows, tuple(params), missing, alone))

    def delete(self, model: type[Model], ids: Iterable[int]) -> None:
        """Delete rows by their ids. What is gone already is no error."""
        self.change(
            f"DELETE FROM {sql.table(model)} WHERE id IN (SELECT id FROM {GIVEN})",
            "id bigint",
            [(id,) for id in sorted(ids)],
        )

    def run(self) -> None:
        """Carry the writes out. Raises: what a part has as `missing`; roll the transaction back then."""
        parts, self._parts = self._parts, []
        changed = self._together(parts) or [part.alone() for part in parts]
        for part, count in zip(parts, changed, strict=True):
            if part.missing is not None and count != len(part.rows):
                raise part.missing

    def _together(self, parts: Sequence[_Part]) -> list[int]:
        """Return how many rows each part changed; nothing where they are to be carried out one after the other."""
        if len(parts) < 2 or sql.one_writer(self._connection):
            return []
        packed = [sql.pack(part.columns, part.rows) for part in parts]
        if sum(map(len, packed)) > sql.HEAVY:
            return []
        # One order of magnitude for all: each text is prepared by itself, so they should be few.
        most = max(len(part.rows) for part in parts)
        texts = [
            part.statement.replace(GIVEN, sql.rows(self._connection, "given", part.columns, most)) for part in parts
        ]
        written = ", ".join(f"part{place} AS ({text} RETURNING 1)" for place, text in enumerate(texts))
        counts = ", ".join(f"(SELECT COUNT(*) FROM part{place})" for place in range(len(parts)))
        params = [value for part, rows in zip(parts, packed, strict=True) for value in (rows, *part.params)]
        [row] = sql.fetch(self._connection, f"WITH {written} SELECT {counts}", params)
        return list(row)
