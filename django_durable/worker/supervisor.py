"""`--processes`: one parent that starts worker processes, restarts those that die, and passes signals on.

The parent does no work and opens no connection. A worker that dies is restarted after a pause that doubles with each
death in a row; one that stayed up for a while starts again with the shortest pause. The first SIGTERM or SIGINT asks
the workers to finish, the second ends them.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .stopping import StopRequests

logger = logging.getLogger("django_durable.worker")

SHORTEST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
STEADY_SECONDS = 60.0
"""A worker that ran this long has not died in a row with the one before it."""

SUPERVISOR_VARIABLE = "DJANGO_DURABLE_SUPERVISOR"
"""Environment variable in which a worker finds the pid of its supervisor."""


@dataclass(slots=True)
class _Slot:
    number: int
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = SHORTEST_PAUSE
    not_before: float = 0.0


class Supervisor:
    """Keeps `processes` workers running.

    Args:
        command: Returns the command line of worker n (0-based).
    """

    def __init__(self, processes: int, command: Callable[[int], Sequence[str]]) -> None:
        self._command = command
        self._slots = [_Slot(number) for number in range(processes)]

    def run(self, stop: StopRequests) -> None:
        """Run until asked to stop, and until the workers have ended."""
        while not stop.requested:
            for slot in self._slots:
                self._tend(slot)
            stop.wait(0.2)
        self._signal(signal.SIGTERM)
        while any(slot.process is not None and slot.process.poll() is None for slot in self._slots):
            stop.wait(0.1)
            if stop.forced:
                self._signal(signal.SIGKILL)

    def _tend(self, slot: _Slot) -> None:
        """Start a worker that is not there; note one that died."""
        now = time.monotonic()
        if slot.process is not None:
            code = slot.process.poll()
            if code is None:
                return
            if now - slot.started > STEADY_SECONDS:
                slot.pause = SHORTEST_PAUSE
            logger.error("Worker process %d ended with %d; next start in %.0f s.", slot.process.pid, code, slot.pause)
            slot.process = None
            slot.not_before = now + slot.pause
            slot.pause = min(slot.pause * 2, LONGEST_PAUSE)
        if now >= slot.not_before:
            slot.started = now
            environment = {**os.environ, SUPERVISOR_VARIABLE: str(os.getpid())}
            # A session of its own: Ctrl-C reaches the supervisor alone, which asks the workers once.
            slot.process = subprocess.Popen(self._command(slot.number), env=environment, start_new_session=True)

    def _signal(self, number: signal.Signals) -> None:
        for slot in self._slots:
            if slot.process is not None and slot.process.poll() is None:
                slot.process.send_signal(number)


def orphaned() -> bool:
    """Tell whether this process was started by a supervisor that is gone."""
    supervisor = os.environ.get(SUPERVISOR_VARIABLE)
    return supervisor is not None and os.getppid() != int(supervisor)
