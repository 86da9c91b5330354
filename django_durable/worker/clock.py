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
    """The machine's clock; where the database has one, that which it shows, or nearly.

    Leases are compared between workers, so their clocks must agree; the database is what all of them see. From one
    comparison to the next the time is measured, not read: a machine's clock that jumps meanwhile moves nothing.
    """

    def __init__(self) -> None:
        self._compared: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        if self._compared is None:
            return datetime.now(UTC)
        shown, at = self._compared
        return shown + timedelta(seconds=self.monotonic() - at)

    def monotonic(self) -> float:
        return time.monotonic()

    def correct(self, database_now: datetime) -> None:
        now = self.now()
        near = abs(database_now - now) <= TOLERANCE
        if self._compared is None or not near:
            self._compared = (now if near else database_now), self.monotonic()
