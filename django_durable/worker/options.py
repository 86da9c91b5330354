"""How a worker is set up, checked where it is given."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _

from ..conf import settings
from ..engine.durations import Duration, milliseconds
from ..engine.errors import InvalidArgument
from ..models import WORKER_ID_LENGTH
from ..store import connections
from ..store.records import TagFilter
from .pool import BUFFER_SECONDS

LEAST_LEASE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """What a worker works by. Durations are `timedelta` or int milliseconds when given.

    Attributes:
        worker_id: The name under which it holds leases; unique among the workers that run. Default: host, pid and a
            random part.
        concurrency: Activities at a time.
        tags: Which activities it takes by their tag; orchestrations are not tagged.
        using: The database alias.
        lease: How long it may be silent before others take over what it has.
        poll_interval: How often an idle worker looks when nothing hints at work.
        shutdown_timeout: How long a stop waits for activities that run.
        buffer: How much work, by the time it takes, waits in the worker for a free slot; zero for none.
        batch: Turns per commit, at most.
        hot_executions: Executions kept in memory, at most.
        max_deliveries: Deliveries of an activity, and attempts of a turn, before it counts as poisoned.
        max_sessions: Sessions it owns at a time; `session_idle` is after how long without an activity it lets one go.
    Raises: InvalidArgument: a value that cannot mean anything.
    """

    worker_id: str
    concurrency: int
    tags: TagFilter
    using: str
    lease: timedelta
    poll_interval: timedelta
    shutdown_timeout: timedelta
    buffer: timedelta
    batch: int
    hot_executions: int
    max_deliveries: int
    max_sessions: int
    session_idle: timedelta

    @classmethod
    def of(
        cls,
        *,
        worker_id: str | None = None,
        concurrency: int | None = None,
        tags: TagFilter = TagFilter.DEFAULT_ONLY,
        using: str | None = None,
        lease: Duration | None = None,
        poll_interval: Duration | None = None,
        shutdown_timeout: Duration | None = None,
        buffer: Duration | None = None,
        **others: Any,
    ) -> WorkerOptions:
        """Return options with the settings' values where nothing is given."""
        given = {
            "worker_id": own_id() if worker_id is None else worker_id,
            "concurrency": settings.CONCURRENCY if concurrency is None else concurrency,
            "tags": tags,
            "using": settings.DATABASE if using is None else using,
            "lease": _duration(lease, settings.LEASE, "lease"),
            "poll_interval": _duration(poll_interval, settings.POLL_INTERVAL, "poll_interval"),
            "shutdown_timeout": _duration(shutdown_timeout, settings.SHUTDOWN_TIMEOUT, "shutdown_timeout"),
            "buffer": _duration(buffer, timedelta(seconds=BUFFER_SECONDS), "buffer"),
            "batch": settings.TURNS_PER_BATCH,
            "hot_executions": settings.HOT_EXECUTIONS,
            "max_deliveries": settings.MAX_DELIVERIES,
            "max_sessions": settings.MAX_SESSIONS,
            "session_idle": settings.SESSION_IDLE_TIMEOUT,
        }
        return cls(**{**given, **others})

    def __post_init__(self) -> None:
        if not isinstance(self.worker_id, str) or not 0 < len(self.worker_id) <= WORKER_ID_LENGTH:
            raise InvalidArgument(
                f"worker_id is {self.worker_id!r:.80}, expected text of 1 to {WORKER_ID_LENGTH} characters."
            )
        for name in ("concurrency", "batch", "max_deliveries"):
            _whole(name, getattr(self, name), 1)
        for name in ("hot_executions", "max_sessions"):
            _whole(name, getattr(self, name), 0)
        if self.using not in (known := connections.aliases()):
            raise InvalidArgument(
                _("The database is '%(found)s', expected an alias: %(known)s.")
                % {"found": f"{self.using!s:.80}", "known": ", ".join(known)}
            )
        if not isinstance(self.tags, TagFilter):
            raise InvalidArgument(f"tags is {self.tags!r:.80}, expected a TagFilter, for example TagFilter.ANY.")
        if self.lease < LEAST_LEASE:
            raise InvalidArgument(f"lease is {self.lease}, expected {LEAST_LEASE} or more: renewing takes time.")


def own_id() -> str:
    """Return a worker id that no other worker has."""
    return f"{socket.gethostname()[:200]}-{os.getpid()}-{secrets.token_hex(3)}"


def _duration(given: Duration | None, default: timedelta, name: str) -> timedelta:
    return default if given is None else timedelta(milliseconds=milliseconds(given, name))


def _whole(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidArgument(f"{name} is {value!r:.80}, expected a whole number of at least {least}.")
