"""A clock that tests move."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class FakeClock:
    """Shows the machine's time until it is moved, and keeps the distance from then on.

    It goes on ticking, because what a test writes outside the worker (a start, a raised event) bears the machine's time
    and must not lie ahead of the worker's.
    """

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead.total_seconds()

    def correct(self, database_now: datetime) -> None:
        """Do nothing: a test's clock is right by definition."""

    def advance(self, by: timedelta) -> None:
        """Move ahead. Raises: ValueError: a clock does not go back."""
        if by < timedelta(0):
            raise ValueError(f"Cannot move the clock by {by}: it does not go back.")
        self.ahead += by

    def advance_to(self, moment: datetime) -> None:
        """Move ahead to a moment; one that has passed changes nothing."""
        self.ahead += max(moment - self.now(), timedelta(0))


class StandingClock(FakeClock):
    """As `FakeClock`, but stands still until it is moved: what runs by it does the same however slow the machine is."""

    def __init__(self, moment: datetime) -> None:
        super().__init__()
        self._start = moment

    def now(self) -> datetime:
        return self._start + self.ahead

    def monotonic(self) -> float:
        return self.ahead.total_seconds()
