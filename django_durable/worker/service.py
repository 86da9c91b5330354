"""A worker as a process: started, watched, stopped by signals."""

from __future__ import annotations

import os

from .stopping import StopRequests
from .supervisor import orphaned
from .worker import Worker

WATCH_SECONDS = 1.0
FORCED = 1
"""Exit code after a second signal."""


def serve(worker: Worker, stop: StopRequests) -> bool:
    """Let a worker that was started run until a stop is requested. Call it on the main thread.

    Returns: False where the worker ended by itself, which it only does after an error that it logged.
    """
    while worker.running and not stop.requested and not orphaned():
        stop.wait(WATCH_SECONDS)
    healthy = worker.running
    worker.stop()
    return healthy


def serve_once(worker: Worker, stop: StopRequests) -> bool:
    """Let a worker that was started run until nothing is due or runs, or a stop is requested. Returns: as `serve`."""
    while worker.running and not stop.requested and not worker.wait_until_idle(0.05):
        pass
    healthy = worker.running
    worker.stop()
    return healthy


def exit_now() -> None:
    """End the process without waiting for anything; leases bring its work back."""
    os._exit(FORCED)
