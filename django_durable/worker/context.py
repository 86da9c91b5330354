"""What an activity gets as its `ctx`."""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping
from typing import Any

from ..engine.durations import epoch_ms
from ..engine.program import Codec
from ..engine.spans import current_book, formatted
from ..engine.tracing import TraceVerbs
from .attempts import Attempt

logger = logging.getLogger("django_durable.activity")


class ActivityContext(TraceVerbs):
    """Who runs, for whom, the how many-eth time; and ways to report and to ask.

    Attributes:
        instance_id: The instance that scheduled the activity.
        execution_id: Number of the execution that did.
        orchestration_name, orchestration_version: What that instance runs.
        activity_name: The registered name.
        attempt: 1 for the first try, one more after each failed one.
        idempotency_key: The same for every attempt and delivery, and never used again. Give it to services that
            refuse to do the same thing twice.
        worker_id, session_id, tag: Where it runs and how it was routed; the last two may be None.
        logger: A standard logger whose records carry `instance_id`, `activity_name` and `attempt`.
    """

    logger: ActivityLogger

    def __init__(self, attempt: Attempt, *, worker_id: str, client: Callable[[], Any], codec: Codec) -> None:
        task = attempt.task
        self._attempt = attempt
        self._codec = codec
        self.instance_id = task.instance_id
        self.execution_id = task.key.execution
        self.orchestration_name = task.orchestration
        self.orchestration_version = task.version
        self.activity_name = task.name
        self.attempt = task.attempt
        # The time tells apart what a database that was set up anew gives the same numbers.
        place = f"{task.key.instance}-{task.key.execution}-{task.key.seq}"
        self.idempotency_key = f"{place}-{epoch_ms(task.created_at)}"
        self.worker_id = worker_id
        self.session_id: str | None = task.session_id or None
        self.tag: str | None = task.tag or None
        self._client = client
        self.logger = ActivityLogger(
            logger,
            {
                "instance_id": self.instance_id,
                "execution_id": self.execution_id,
                "activity_name": self.activity_name,
                "attempt": self.attempt,
                "worker_id": worker_id,
            },
        )

    def is_cancelled(self) -> bool:
        """Tell whether to stop: the orchestration canceled the activity, ended, or the time is up.

        Costs nothing; learns of a cancellation within about a second.
        """
        return self._attempt.cancel_requested

    def heartbeat(self, details: Any = None) -> None:
        """Note how far the activity is; a later attempt finds it in `last_heartbeat`.

        Costs nothing; the newest details are stored about once a second.
        Raises: PayloadError: `details` cannot be encoded.
        """
        self._attempt.heartbeat = self._codec.encode(details)

    @property
    def last_heartbeat(self) -> Any:
        """The details that an earlier attempt left, or None."""
        stored = self._attempt.task.heartbeat
        return None if stored is None else self._codec.decode(stored)

    @property
    def client(self) -> Any:
        """The client of the registry that this worker runs: starts instances, raises events, reads status."""
        return self._client()

    def get_client(self) -> Any:
        """Return `client`."""
        return self.client


class ActivityLogger(logging.LoggerAdapter[logging.Logger]):
    """Adds the activity's identity to each record, keeps `extra` given at the call, and puts it on the span, if any."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **kwargs.get("extra", {})}
        return msg, kwargs

    def log(self, level: int, msg: object, *args: Any, **kwargs: Any) -> None:
        if (book := current_book()) is not None:
            book.log(logging.getLevelName(level), formatted(str(msg), args))
        super().log(level, msg, *args, **kwargs)
