"""Helpers for a project's own tests: a clock that tests move, and a worker that runs inside a test's transaction.

The pytest plugin is `django_durable.testing.plugin`; it gives the `durable` fixture. Without pytest, make a `Durable`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .clock import FakeClock
from .replays import assert_prefix_law, assert_replays, read_history

if TYPE_CHECKING:
    from .harness import Durable

__all__ = ["Durable", "FakeClock", "assert_prefix_law", "assert_replays", "read_history"]


def __getattr__(name: str) -> Any:
    # Imported late: the plugin is loaded before Django is set up, and the harness imports models.
    if name == "Durable":
        from .harness import Durable

        return Durable
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
