"""Forking with nothing open that belongs to both sides.

SQLite keeps account of its locks in memory. A fork copies that account, and where another thread was reading at that
moment, its lock stays in the copy for ever: the child finds its own database locked, or hangs in one of SQLite's
mutexes. So nobody in this process may have the file open at a fork.
"""

from __future__ import annotations

import gc
import os
import sys
import time
import warnings
from contextlib import suppress

from django.db import connections

from ...engine.errors import InvalidArgument

PATIENCE_SECONDS = 10.0
"""For how long other threads may take to close their connections; one that gave hints takes some milliseconds."""


def let_go() -> None:
    """Close this thread's connections, and wait until no other thread has an SQLite database open: before a fork.

    Raises: InvalidArgument: one keeps it open.
    """
    connections.close_all()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while shared := _open_databases():
        if time.monotonic() >= deadline:
            raise InvalidArgument(
                f"Another thread of the test's process has {shared[0]} open, and SQLite does not survive a fork like "
                f"that. Close the thread's connection, or let the thread end, before the test."
            )
        gc.collect()  # A connection that nobody closed is closed with its thread's other objects.
        time.sleep(0.001)


def fork() -> int:
    """Fork. Returns: as `os.fork`."""
    with warnings.catch_warnings():
        # Python warns where the test's process has threads. None of them has anything that the worker needs.
        warnings.simplefilter("ignore", DeprecationWarning)
        flush()  # What is in a buffer at a fork is written twice.
        return os.fork()


def flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def _open_databases() -> list[str]:
    """Return the SQLite files that this process has open."""
    names = {str(each.settings_dict["NAME"]) for each in connections.all() if each.vendor == "sqlite"}
    found = {}
    for name in names:
        with suppress(OSError):
            found[_identity(os.stat(name))] = name
    return [found[each] for each in _open_files() if each in found] if found else []


def _open_files() -> list[tuple[int, int]]:
    files = []
    for descriptor in os.listdir("/dev/fd"):
        with suppress(OSError):  # The listing's own is closed again.
            files.append(_identity(os.fstat(int(descriptor))))
    return files


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
