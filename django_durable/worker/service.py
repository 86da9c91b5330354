"""A worker as a process: started, watched, stopped by signals."""

from __future__ import annotations

import gc
import os

from .stopping import StopRequests
from .supervisor import orphaned
from .worker import Worker

WATCH_SECONDS = 1.0
FORCED = 1
"""Exit code after a second signal."""

YOUNG_OBJECTS = 10_000
"""New objects between two looks of the garbage collector. A turn makes hundreds that live until its commit: the default
of Python 3.11, 700, looks at them again and again."""


def serve(worker: Worker, stop: StopRequests) -> bool:
    """Let a worker that was started run until a stop is requested. Call it on the main thread.

    Returns: False where the worker ended by itself, which it only does after an error that it logged.
    """
    _collect_less()
    while worker.running and not stop.requested and not orphaned():
        stop.wait(WATCH_SECONDS)
    healthy = worker.running
    worker.stop()
    return healthy


def _collect_less() -> None:
    """Keep the garbage collector away from what lives as long as the process: modules, the registry, the ORM."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])


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
