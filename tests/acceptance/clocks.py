"""A worker process on a machine whose clock is wrong: what the operating system tells the worker is moved."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, tzinfo

VARIABLE = "ACCEPTANCE_CLOCK_AHEAD"
"""Where this is in the environment, it says by how many seconds; negative is behind."""


def set_by_environment() -> None:
    if VARIABLE not in os.environ:
        return
    from django_durable.worker import clock

    ahead = timedelta(seconds=float(os.environ[VARIABLE]))

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + ahead

    clock.datetime = Wrong
