"""Counts the statements and commits of this process on all its connections, and ends it at one of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

LONGEST_NAME = 120
Report = Callable[[str], None]


class Boundaries:
    """Two for each statement and each commit: before it, and after it.

    Args:
        report: Told the name of each boundary as it is reached; the first is number 1.
        last: The one at which this process kills itself, right after it was reported.
    """

    def __init__(self, report: Report, last: int | None) -> None:
        self._report = report
        self._last = last
        self._reached = 0

    def watch(self) -> None:
        """Watch every connection of this process, those included that are opened later."""
        connection_created.connect(self._watch_connection, weak=False)
        for connection in connections.all(initialized_only=True):
            self._watch_connection(connection=connection)

    def _watch_connection(self, *, connection: BaseDatabaseWrapper, **_: Any) -> None:
        if self._around_statement in connection.execute_wrappers:
            return
        connection.execute_wrappers.append(self._around_statement)
        commit = connection._commit  # type: ignore[attr-defined]  # Commits do not go through a cursor.

        def watched() -> None:
            self._around("COMMIT", commit)

        connection._commit = watched  # type: ignore[attr-defined]

    def _around_statement(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        return self._around(" ".join(str(sql).split())[:LONGEST_NAME], lambda: execute(sql, params, many, context))

    def _around(self, name: str, act: Callable[[], Any]) -> Any:
        self._reach(f"before {name}")
        result = act()
        self._reach(f"after {name}")
        return result

    def _reach(self, name: str) -> None:
        self._reached += 1
        self._report(name)
        if self._reached == self._last:
            os.kill(os.getpid(), signal.SIGKILL)
