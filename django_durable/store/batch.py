"""The writes of one transaction that need nothing of each other, in as few round trips as the database allows.

PostgreSQL takes them as the parts of one statement, which can be the whole transaction. All parts see the tables as
they were before it, in no order; so no row may be written by two of them, except that several may delete it. SQLite
takes one after the other: it has no such statement, and a round trip costs nothing there.

A guarded part has to change as many rows as it is given. The one statement sees to that by a division, whose failure
takes everything back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.db import DataError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from ..engine.errors import LeaseLost
from . import sql, transactions, wakeups

GIVEN = "{given}"
"""Stands in a statement for the FROM item `given`, which has the rows."""

_DIVISION_BY_ZERO = "22012"
_GUARDED = "what a guarded statement starts from"


@dataclass(frozen=True, slots=True)
class _Part:
    """One write. `params` come after the rows; where it is `guarded`, each row has to change one."""

    statement: str
    columns: str
    rows: Sequence[Sequence[Any]]
    params: tuple[Any, ...]
    guarded: bool
    alone: Callable[[], None]


class Batch:
    """Collects writes on a connection, and carries them out with `run` or `commit`. What has no rows costs nothing."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self._parts: list[_Part] = []

    def insert(
        self, model: type[Model], columns: Sequence[str], rows: Sequence[Sequence[Any]], suffix: str = ""
    ) -> None:
        """Insert rows; `suffix` may be an ON CONFLICT clause."""
        if not rows:
            return

        def alone() -> None:
            sql.insert_rows(self.connection, model, columns, rows, suffix)

        statement = f"INSERT INTO {sql.table(model)} ({', '.join(columns)}) SELECT * FROM {GIVEN} WHERE TRUE {suffix}"
        self._parts.append(_Part(statement, sql.typed(model, tuple(columns)), rows, (), False, alone))

    def change(
        self,
        statement: str,
        columns: str,
        rows: Sequence[Sequence[Any]],
        params: Sequence[Any] = (),
        *,
        guarded: bool = False,
    ) -> None:
        """Update or delete what `rows` names.

        Args:
            statement: With `GIVEN` before every other parameter.
            columns: Names and types of the rows, as for `sql.rows`.
            guarded: Where it changes fewer rows than are given, somebody else was first, and nothing is written.
        """
        if not rows:
            return
        # Counted by what they return: SQLite's driver counts no changes of what begins with WITH.
        text = f"{statement} RETURNING 1" if guarded else statement

        def alone() -> None:
            given = sql.rows(self.connection, "given", columns)
            values = [sql.pack(columns, rows), *params]
            if not guarded:
                sql.execute(self.connection, text.replace(GIVEN, given), values)
            elif len(sql.fetch(self.connection, text.replace(GIVEN, given), values)) < len(rows):
                raise LeaseLost(_GUARDED)

        self._parts.append(_Part(text, columns, rows, tuple(params), guarded, alone))

    def delete(self, model: type[Model], ids: Iterable[int]) -> None:
        """Delete rows by their ids. What is gone already is no error."""
        self.change(
            f"DELETE FROM {sql.table(model)} WHERE id {sql.among(self.connection, f'SELECT id FROM {GIVEN}')}",
            "id bigint",
            [(id,) for id in sorted(ids)],
        )

    def run(self) -> None:
        """Carry the writes out in the transaction that is open.

        Raises: LeaseLost: a guarded part changed too few rows. Roll the transaction back.
        """
        parts, self._parts = self._parts, []
        packed = self._packed(parts) if len(parts) > 1 else None
        if packed is not None:
            self._together(parts, packed)
            return
        for part in parts:
            part.alone()

    def commit(self, notices: Sequence[wakeups.Notice] = ()) -> None:
        """Carry the writes out in a transaction of their own, or a savepoint where one is open, and tell listeners.

        Raises: LeaseLost: a guarded part changed too few rows. Nothing was written.
        """
        alias, parts = self.connection.alias, self._parts
        packed = None if self.connection.in_atomic_block else self._packed(parts)
        if packed is None:
            with transactions.write_transaction(alias):
                self.run()
                wakeups.send(self.connection, notices)
        elif parts or notices:
            self._parts = []
            with transactions.statement(alias):
                self._together(parts, packed, notices)

    def _packed(self, parts: Sequence[_Part]) -> list[str] | None:
        """Return the rows of each part as a parameter; None where they are to be carried out one after the other."""
        if sql.one_writer(self.connection):
            return None
        packed = [sql.pack(part.columns, part.rows) for part in parts]
        return packed if sum(map(len, packed)) <= sql.HEAVY else None

    def _together(self, parts: Sequence[_Part], packed: Sequence[str], notices: Sequence[wakeups.Notice] = ()) -> None:
        calls, payloads = wakeups.calls(notices)
        given = [sql.rows(self.connection, "given", part.columns) for part in parts]
        texts = [(part.statement.replace(GIVEN, rows), part.guarded) for part, rows in zip(parts, given, strict=True)]
        statement = _one_statement(tuple(texts), tuple(calls))
        params = [each for part, rows in zip(parts, packed, strict=True) for each in (rows, *part.params)]
        params += [len(part.rows) for part in parts if part.guarded]
        try:
            sql.execute(self.connection, statement, [*params, *payloads])
        except DataError as error:
            if getattr(error.__cause__, "sqlstate", None) != _DIVISION_BY_ZERO:
                raise
            raise LeaseLost(_GUARDED) from error


@lru_cache(maxsize=256)
def _one_statement(parts: tuple[tuple[str, bool], ...], calls: tuple[str, ...]) -> str:
    """Return the text of writes, each guarded or not, as one statement that ends with `calls`.

    White space is made short: of texts that are longer than 4,096 characters, psycopg keeps nothing.
    """
    names = [f"part{number}" for number in range(len(parts))]
    written = [f"{name} AS ({statement})" for name, (statement, _) in zip(names, parts, strict=True)]
    checks = [
        f"1 / ((SELECT COUNT(*) FROM {name}) = %s)::int"
        for name, (_, guarded) in zip(names, parts, strict=True)
        if guarded
    ]
    begin = f"WITH {', '.join(written)} " if written else ""
    return " ".join(f"{begin}SELECT {', '.join([*checks, *calls]) or '1'}".split())
