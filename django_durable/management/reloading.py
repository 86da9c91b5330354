"""The process above a worker that restarts when code changes.

Django's own kills the worker a quarter of a second after Ctrl-C, and at once at SIGTERM: what runs would be nobody's
until its lease is over.
"""

from __future__ import annotations

import os
import subprocess

from django.utils import autoreload

from ..worker.service import FORCED
from ..worker.stopping import StopRequests

CHANGED = 3
"""Exit code of a process that Django's reloader has ended because code changed."""

LOOK_SECONDS = 0.1
GRACE_SECONDS = 0.5
"""How long the worker has to end by itself before it is told: Ctrl-C reaches both."""


def is_above() -> bool:
    """Tell whether this is the process above, and not the one that works."""
    return os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) != "true"


def run_above() -> int:
    """Run the process that works, again after each change. It ends in good order at the first signal.

    Returns: its exit code.
    """
    environment = {**os.environ, autoreload.DJANGO_AUTORELOAD_ENV: "true"}
    with StopRequests() as stop:
        while True:
            working = subprocess.Popen(autoreload.get_child_arguments(), env=environment, close_fds=False)
            code = _end_of(working, stop)
            if code != CHANGED or stop.requested:
                return FORCED if stop.forced else code


def _end_of(working: subprocess.Popen[bytes], stop: StopRequests) -> int:
    seconds, told = 0.0, False
    while (code := working.poll()) is None:
        stop.wait(LOOK_SECONDS)
        if stop.forced:
            working.kill()
            return working.wait()
        if stop.requested and not told:
            seconds += LOOK_SECONDS
            if seconds > GRACE_SECONDS:
                told = True
                working.terminate()
    return code
