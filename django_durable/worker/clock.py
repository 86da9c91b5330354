"""The clock of a worker; everything below it takes `now` as an argument."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

TOLERANCE = timedelta(milliseconds=250)
"""Differences from the database's clock below this are left alone: measuring one is not more exact than that."""


class Clock(Protocol):
    """Where a worker gets the time from."""

    def now(self) -> datetime:
        """Return the time as an aware UTC datetime."""

    def monotonic(self) -> float:
        """Return seconds that never go back, for measuring how long something took."""

    def correct(self, database_now: datetime) -> None:
        """Take note of what the database's clock shows now."""


class SystemClock:
    """The machine's clock, corrected to the database's where the two differ noticeably.

    Leases are compared between workers, so their clocks must agree; the database is what all of them see.
    """

    def __init__(self) -> None:
        self._offset = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def monotonic(self) -> float:
        return time.monotonic()

    def correct(self, database_now: datetime) -> None:
        offset = database_now - datetime.now(UTC)
        self._offset = offset if abs(offset) > TOLERANCE else timedelta(0)
