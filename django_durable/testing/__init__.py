"""Helpers for a project's own tests: a clock that tests move, and a worker that runs inside a test's transaction.

The pytest plugin is `django_durable.testing.plugin`; it gives the `durable` fixture. Without pytest, make a `Durable`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .clock import FakeClock
from .replays import assert_prefix_law, assert_replays, read_history

if TYPE_CHECKING:
    from .crashing import CrashReport, assert_survives_every_crash
    from .harness import Durable

__all__ = [
    "CrashReport",
    "Durable",
    "FakeClock",
    "assert_prefix_law",
    "assert_replays",
    "assert_survives_every_crash",
    "read_history",
]


# Imported late: the plugin is loaded before Django is set up, and these import models.
_LATE = {"Durable": ".harness", "CrashReport": ".crashing", "assert_survives_every_crash": ".crashing"}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(import_module(_LATE[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
