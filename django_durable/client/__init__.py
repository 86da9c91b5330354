"""The client: starts, sends, looks, waits, steers. Usable wherever the project's database is, with or without a worker.

Every method has an async twin with an `a` before its name: `await client.astart_orchestration(...)`,
`await client.await_for_orchestration(...)`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ..engine.errors import InvalidArgument
from ..registry import Registry, default
from ..store.filters import InstanceFilter
from ..store.metrics import OrchestrationStats, QueueDepths, SystemMetrics
from ..store.promises import PromiseRecord
from ..store.queries import ExecutionInfo, InstanceInfo, InstancePage, InstanceSummary, InstanceTree, StatusRecord
from ..store.retention import DeleteResult, PruneOptions, PruneResult
from ..store.streamreads import StreamRecord
from ..store.streamtrims import TrimResult
from ..store.workers import WorkerRecord
from .base import system_clock
from .operating import Inspecting, Retaining, Steering
from .promising import Promising
from .reading import Reading
from .records import OrchestrationStatus, StartResult
from .starting import Starting
from .streaming import Streaming, StreamItem, StreamPage
from .surveying import Surveying
from .traces import Traces
from .watching import Watching

__all__ = [
    "Client",
    "DeleteResult",
    "ExecutionInfo",
    "InstanceFilter",
    "InstanceInfo",
    "InstancePage",
    "InstanceSummary",
    "InstanceTree",
    "OrchestrationStats",
    "OrchestrationStatus",
    "PromiseRecord",
    "PruneOptions",
    "PruneResult",
    "QueueDepths",
    "StartResult",
    "StatusRecord",
    "StreamItem",
    "StreamPage",
    "StreamRecord",
    "SystemMetrics",
    "TrimResult",
    "WorkerRecord",
    "client",
]


class Client(Starting, Promising, Reading, Streaming, Watching, Steering, Inspecting, Retaining, Surveying, Traces):
    """Everything a caller may ask of instances. Holds no connection: it uses that of the calling thread.

    Args:
        registry: Names and types for starts and outputs. The first client of a registry carries out the `start(...)`
            of its orchestrations.
        using: Database alias; by default `DJANGO_DURABLE["DATABASE"]`, read at every call.
        clock: Returns the time as aware UTC; for tests.
    """

    def __init__(
        self,
        registry: Registry = default,
        *,
        using: str | None = None,
        clock: Callable[[], datetime] = system_clock,
    ) -> None:
        super().__init__(registry, using=using, clock=clock)
        try:
            _ = registry.starter
        except InvalidArgument:
            registry.bind(self)


client = Client()
"""The client of the default registry and database."""
