"""Helpers for a project's own tests: a clock that tests move, and a worker that runs inside a test's transaction.

The pytest plugin is `django_durable.testing.plugin`; it gives the `durable` fixture. Without pytest, make a `Durable`.
"""

from __future__ import annotations

from .clock import FakeClock
from .harness import Durable
from .replays import assert_prefix_law, assert_replays

__all__ = ["Durable", "FakeClock", "assert_prefix_law", "assert_replays"]
