"""When the database is worth a look: the pace of a dispatcher.

A look finds what is due now. What becomes due later (timers, retries, delayed starts) is known from the turns of this
worker, and from asking after each hint, after each such moment, and every few seconds in case a hint was lost.
"""

from __future__ import annotations

from datetime import datetime, timedelta

WHILE_BUSY = timedelta(milliseconds=100)
"""How soon after the last time a busy dispatcher asks again what becomes due; an idle one asks at once."""

BETWEEN_LOOKS = timedelta(milliseconds=10)
"""How soon after the last look at messages a dispatcher that has turns to make anyway looks again. A look is three
statements, however many instances it finds."""

ROUNDS_BETWEEN_LOOKS = 5
"""Rounds after which it looks again in any case, even by a clock that stands still."""

ASK_EVERY = timedelta(seconds=5)


class Lookout:
    """Two flags, and when they will next become true.

    Attributes:
        inbox: Instances may have messages that are due.
        tasks: Activity tasks may be due.
    """

    def __init__(self, poll: timedelta) -> None:
        self.inbox = True
        self.tasks = True
        self._poll = poll
        self._next_poll: datetime | None = None
        self._due: datetime | None = None
        self._due_known = False
        self._asked: datetime | None = None
        self._looked: datetime | None = None
        self._passed_over = 0

    def look(self, *, tasks: bool = True) -> None:
        """Look at everything: there was a hint, or a reason to distrust what is known. At `tasks` only if told so."""
        self.inbox = True
        self.tasks |= tasks
        self._due_known = False

    def update(self, now: datetime) -> None:
        """Look at everything if something became due or the last poll is long enough ago."""
        if self._next_poll is None or now >= self._next_poll:
            self._next_poll = now + self._poll
            self.inbox = self.tasks = True
        if self._due is not None and now >= self._due:
            self._due = None
            self.look()
        if self._asked is None or now - self._asked >= ASK_EVERY:
            self._due_known = False

    def takes_messages(self, now: datetime, *, busy: bool) -> bool:
        """Tell whether to look at messages now, and take note of the look."""
        if not self.inbox:
            return False
        lately = self._looked is not None and now < self._looked + BETWEEN_LOOKS
        if busy and lately and self._passed_over < ROUNDS_BETWEEN_LOOKS:
            self._passed_over += 1
            return False
        self.inbox, self._looked, self._passed_over = False, now, 0
        return True

    def expect(self, moment: datetime | None) -> None:
        """Note that something becomes due then."""
        if moment is not None and (self._due is None or moment < self._due):
            self._due = moment

    def asks(self, now: datetime, *, busy: bool) -> bool:
        """Tell whether to find out now what becomes due next, and to `expect` it."""
        if self._due_known or (busy and self._asked is not None and now < self._asked + WHILE_BUSY):
            return False
        self._asked, self._due_known = now, True
        return True

    def seconds(self, now: datetime) -> float:
        """Return for how long there is nothing to look at."""
        if self.inbox or self._next_poll is None:
            return 0.0
        until = self._next_poll if self._due is None else min(self._due, self._next_poll)
        return max((until - now).total_seconds(), 0.0)
