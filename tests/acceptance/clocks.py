"""A worker process on a machine whose clock is wrong: what the operating system tells the worker is moved."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

VARIABLE = "ACCEPTANCE_CLOCK_AHEAD"
"""Where this is in the environment, it says by how many seconds, or names a file that does; negative is behind."""


def ahead() -> timedelta:
    said = os.environ[VARIABLE]
    return timedelta(seconds=float(Path(said).read_text() if os.path.isabs(said) else said))


def set_by_environment() -> None:
    if VARIABLE not in os.environ:
        return
    from django_durable.worker import clock

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + ahead()

    clock.datetime = Wrong
