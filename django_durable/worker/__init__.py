"""Running instances: the dispatcher makes turns, the executor runs activities, leases keep both fenced.

`Worker` is the class behind `manage.py durable_worker`; `TagFilter` says which activities one takes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..store.records import TagFilter
    from .worker import Worker

__all__ = ["TagFilter", "Worker"]

_HOMES = {"TagFilter": "..store.records", "Worker": ".worker"}


def __getattr__(name: str) -> Any:
    # Imported late: annotations name the context of this package where models must not be loaded yet.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
