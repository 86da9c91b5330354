"""Durable workflows in a Django project's own database.

Everything here may be imported before Django is set up: nothing reads settings or imports models.
"""

from __future__ import annotations

from asyncio import CancelledError
from typing import TYPE_CHECKING, Any

from .engine.errors import (
    ActivityError,
    ActivityTimeout,
    AuthorError,
    CallerError,
    DurableError,
    IllegalTransition,
    InstanceAlreadyExists,
    InstanceNotFound,
    InvalidArgument,
    LimitExceeded,
    NondeterminismError,
    NotRegistered,
    OrchestrationFailed,
    OutcomeError,
    PayloadError,
    PromiseError,
    PromiseExpired,
    PromiseNotFound,
    PromiseSettled,
    SignalInterrupt,
    StreamClosed,
    StreamTrimmed,
    SubOrchestrationError,
    WaitInsideTransaction,
    WaitTimeout,
)
from .engine.ports import Provided
from .engine.reducing import Reducer
from .engine.retry import RetryPolicy
from .engine.signals import Signal
from .engine.streams import Stream, StreamWriter
from .registry import Registry, activity, orchestration

if TYPE_CHECKING:
    from .engine.context import OrchestrationContext
    from .worker.context import ActivityContext

__version__ = "0.1.0"

__all__ = [
    "ActivityContext",
    "ActivityError",
    "ActivityTimeout",
    "AuthorError",
    "CallerError",
    "CancelledError",
    "DurableError",
    "IllegalTransition",
    "InstanceAlreadyExists",
    "InstanceNotFound",
    "InvalidArgument",
    "LimitExceeded",
    "NondeterminismError",
    "NotRegistered",
    "OrchestrationContext",
    "OrchestrationFailed",
    "OutcomeError",
    "PayloadError",
    "PromiseError",
    "PromiseExpired",
    "PromiseNotFound",
    "PromiseSettled",
    "Provided",
    "Reducer",
    "Registry",
    "RetryPolicy",
    "Signal",
    "SignalInterrupt",
    "Stream",
    "StreamClosed",
    "StreamTrimmed",
    "StreamWriter",
    "SubOrchestrationError",
    "WaitInsideTransaction",
    "WaitTimeout",
    "__version__",
    "activity",
    "orchestration",
]

_CONTEXTS = {"OrchestrationContext": ".engine.context", "ActivityContext": ".worker.context"}


def __getattr__(name: str) -> Any:
    # Named in annotations only, so that importing the package does not import the worker.
    if name in _CONTEXTS:
        from importlib import import_module

        return getattr(import_module(_CONTEXTS[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
