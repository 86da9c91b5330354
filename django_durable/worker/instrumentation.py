"""What a worker counts and logs, in one place. Never payloads: names, ids and numbers only."""

from __future__ import annotations

import logging
import threading
from collections import Counter

from ..conf import settings
from ..engine.events import ActivityFailed
from ..engine.failures import Failure
from .outcomes import Defer, Drop, Finish, HandBack, Outcome, Recorded, Retry

logger = logging.getLogger("django_durable.worker")

COUNTED = (
    "turns",
    "turns_lost",
    "turns_failed",
    "instances_claimed",
    "instances_blocked",
    "instances_resumed",
    "instance_leases_lost",
    "executions_completed",
    "executions_failed",
    "executions_canceled",
    "executions_continued_as_new",
    "histories_warned_of",
    "cache_hits",
    "cache_misses",
    "cache_evictions",
    "commits",
    "activities_claimed",
    "activities_started_eagerly",
    "activities_completed",
    "activities_failed",
    "activities_timed_out",
    "activities_poisoned",
    "activities_retried",
    "activities_deferred",
    "activities_handed_back",
    "activities_dropped",
    "activity_leases_lost",
    "database_errors",
)
"""Every counter; each starts at zero with the worker."""


class Instrumentation:
    """Counters and log lines of one worker. Safe to call from any thread."""

    def __init__(self, worker_id: str) -> None:
        self._worker_id = worker_id
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def count(self, name: str, number: int = 1) -> None:
        """Add to a counter of `COUNTED`."""
        with self._lock:
            self._counts[name] += number

    def snapshot(self) -> dict[str, int]:
        """Return every counter."""
        with self._lock:
            return {name: self._counts[name] for name in COUNTED}

    def worker_started(self, database: str, concurrency: int) -> None:
        logger.info("Worker %s started on database %r, %d slots.", self._worker_id, database, concurrency)

    def worker_stopping(self) -> None:
        logger.info("Worker %s is stopping.", self._worker_id)

    def worker_stopped(self) -> None:
        logger.info("Worker %s stopped.", self._worker_id)

    def turn_committed(self, kind: str | None) -> None:
        """Note a committed turn; `kind` is that of the fact that ended the execution, if it ended."""
        self.count("turns")
        counter = {
            "OrchestrationCompleted": "executions_completed",
            "OrchestrationFailed": "executions_failed",
            "OrchestrationCanceled": "executions_canceled",
            "OrchestrationContinuedAsNew": "executions_continued_as_new",
        }.get(kind or "")
        if counter is not None:
            self.count(counter)

    def history_grew(self, instance_id: str, before: int, now: int) -> None:
        """Note a history's length; it is reported once, where it passes `HISTORY_WARNING_EVENTS`."""
        threshold = settings.HISTORY_WARNING_EVENTS
        if threshold is not None and before < threshold <= now:
            self.count("histories_warned_of")
            logger.warning(
                "The history of instance %r has %d events; at %d it fails. Continue as new now and then.",
                instance_id,
                now,
                settings.MAX_HISTORY_EVENTS,
            )

    def turn_lost(self, instance_id: str) -> None:
        self.count("turns_lost")
        logger.info("Lost the lease of instance %r before its turn was committed; dropped the turn.", instance_id)

    def turn_failed(self, instance_id: str, error: BaseException | None) -> None:
        self.count("turns_failed")
        logger.error("A turn of instance %r could not be committed.", instance_id, exc_info=error)

    def turn_never_ended(self, instance_id: str) -> None:
        logger.critical("The code of instance %r does not come back and cannot be ended; giving up.", instance_id)

    def instance_blocked(self, instance_id: str, failure: Failure) -> None:
        self.count("instances_blocked")
        logger.error("Blocked instance %r: %s.", instance_id, failure.error_type)

    def instance_resumed(self, instance_id: str) -> None:
        self.count("instances_resumed")
        logger.info("Resumed instance %r: its orchestration is registered here.", instance_id)

    def instance_leases_lost(self, number: int) -> None:
        self.count("instance_leases_lost", number)
        logger.warning("Lost the leases of %d instances; another worker has them.", number)

    def activity_ended(self, name: str, instance_id: str, attempt: int, outcome: Outcome) -> None:
        """Note the outcome of one attempt."""
        match outcome:
            case Finish(ActivityFailed() as fact):
                self._activity_failed(name, instance_id, attempt, fact.failure, fact.timed_out)
            case Finish() | Recorded():
                self.count("activities_completed")
            case Retry(visible_at, failures):
                self.count("activities_retried")
                logger.info(
                    "Attempt %d of activity %s of %r failed (%s); next at %s.",
                    attempt,
                    name,
                    instance_id,
                    failures[-1]["error_type"],
                    visible_at,
                )
            case Defer(until, Failure() as hindrance):
                self.count("activities_deferred")
                logger.warning(
                    "The database could not take what activity %s of %r wrote (%s); left until %s.",
                    name,
                    instance_id,
                    hindrance.message,
                    until,
                )
            case Defer(until):
                self.count("activities_deferred")
                logger.warning(
                    "Activity %s of %r cannot be run here, it or its codec is missing; left until %s.",
                    name,
                    instance_id,
                    until,
                )
            case HandBack():
                self.count("activities_handed_back")
            case Drop():
                self.count("activities_dropped")

    def _activity_failed(self, name: str, instance_id: str, attempt: int, failure: Failure, timed_out: bool) -> None:
        self.count("activities_failed")
        if timed_out:
            self.count("activities_timed_out")
        if failure.error_type == "Poisoned":
            self.count("activities_poisoned")
        logger.warning("Activity %s of %r failed in attempt %d: %s", name, instance_id, attempt, failure.error_type)

    def activity_leases_lost(self, number: int) -> None:
        self.count("activity_leases_lost", number)
        logger.info("%d running activities were canceled or taken by another worker.", number)

    def database_failed(self, error: BaseException, pause: float) -> None:
        self.count("database_errors")
        logger.warning("The database failed (%s); next try in %.1f s.", error, pause, exc_info=error)
