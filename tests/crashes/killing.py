"""A process that does one thing to the database and is killed in the middle of it."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable

from django.db import DEFAULT_DB_ALIAS

from django_durable.testing.crashing.boundaries import Boundaries
from django_durable.testing.crashing.forking import flush, fork, let_go
from django_durable.testing.crashing.traces import wait_until_undone


def killed_at(boundary: int, act: Callable[[], object]) -> bool:
    """Do something in a process that dies at a boundary. Returns: False where it was done before."""
    let_go()
    pid = fork()
    if not pid:
        _act(boundary, act)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL), "It failed; the reason was written to standard error."
    wait_until_undone(DEFAULT_DB_ALIAS)
    return code != 0


def _act(boundary: int, act: Callable[[], object]) -> None:
    code = 1
    try:
        Boundaries(lambda _: None, boundary).watch()
        act()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        flush()
        os._exit(code)
