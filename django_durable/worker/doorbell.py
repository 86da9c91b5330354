"""What wakes a dispatcher: local completions, hints from the database, a stop."""

from __future__ import annotations

import threading


class Doorbell:
    """Rung from any thread, waited at by one. A ring before the wait is not lost."""

    def __init__(self) -> None:
        self._rung = threading.Event()
        self._hinted = threading.Event()
        self._of_tasks = threading.Event()

    def ring(self) -> None:
        """Wake the dispatcher: something ended here."""
        self._rung.set()

    def hint(self, *, tasks: bool = True) -> None:
        """Wake the dispatcher: there may be new work in the database; without `tasks`, no activities."""
        if tasks:
            self._of_tasks.set()
        self._hinted.set()
        self._rung.set()

    def wait(self, seconds: float) -> None:
        """Return when rung, or after `seconds`."""
        self._rung.wait(max(seconds, 0.0))
        self._rung.clear()

    def take_hint(self) -> bool:
        """Tell whether there was a hint since the last call. Look at the database after this call, not before."""
        if not self._hinted.is_set():
            return False
        self._hinted.clear()
        return True

    def take_tasks(self) -> bool:
        """Tell whether a hint since the last call may have been of activities."""
        if not self._of_tasks.is_set():
            return False
        self._of_tasks.clear()
        return True
