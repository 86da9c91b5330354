"""How an attempt ends, and what is written because of it. Pure: time and randomness are arguments.

User code returns, raises, runs out of time or is canceled; that is an *ending*. `decide` makes an *outcome* of it, and
the dispatcher carries outcomes out, one `case` per outcome.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..engine.durations import epoch_ms
from ..engine.events import ActivityCompleted, ActivityFailed, Payload
from ..engine.failures import Failure
from ..engine.retry import RetryPolicy
from ..store.records import ClaimedTask

FAILURES_KEPT = 20
"""Failed attempts remembered with a task; the newest are kept, so that thousands of attempts do not grow its row."""

FAILURE_CHARACTERS = 500
SHORTEST_DEFERRAL = timedelta(seconds=1)
LONGEST_DEFERRAL = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Returned:
    """The function returned, and its result is encoded."""

    result: Payload


@dataclass(frozen=True, slots=True)
class Raised:
    """The function raised. `final` errors are not tried again whatever the policy says.

    Attributes:
        hindered: Whether it raised what the database said when it could not do what it was asked.
    """

    failure: Failure
    final: bool = False
    hindered: bool = False


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The attempt was still running at its deadline."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Canceled:
    """The attempt stopped because its task is gone."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The database went away under an atomic attempt. `called` tells whether the function had been called."""

    called: bool


@dataclass(frozen=True, slots=True)
class Hindered:
    """The database could not take what an atomic attempt wrote: its disk is full, it is shutting down."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class AlreadyRecorded:
    """The function and its completion were committed together by the attempt itself."""


Ending = Returned | Raised | TimedOut | Canceled | Interrupted | Hindered | AlreadyRecorded


@dataclass(frozen=True, slots=True)
class Finish:
    """Tell the orchestration."""

    fact: ActivityCompleted | ActivityFailed


@dataclass(frozen=True, slots=True)
class Retry:
    """Make the task visible again at `visible_at` as its next attempt; `failures` is what its row keeps."""

    visible_at: datetime
    failures: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Defer:
    """It cannot be run now: hide the task until then, as if it had not been delivered.

    Attributes:
        hindrance: What the database said, or None where the code is not in this worker.
    """

    until: datetime
    hindrance: Failure | None = None


@dataclass(frozen=True, slots=True)
class HandBack:
    """It was not started, or will not be finished here: make it visible now, as if it had not been delivered."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """It is in the database already; an inbox message tells the orchestration."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Write nothing: the task is gone, or its lease, which nobody renews now, shall bring it back."""


Outcome = Finish | Retry | Defer | HandBack | Recorded | Drop


def decide(
    task: ClaimedTask, ending: Ending, *, worker_id: str, started_at: datetime, now: datetime, random: float
) -> Outcome:
    """Return what an ending means for the task.

    Args:
        started_at: When the function was called; before it, poison and expiry have been ruled out.
        random: In [0, 1), for the jitter of a retry.
    """
    match ending:
        case Returned(result):
            fact = ActivityCompleted(
                scheduled_seq=task.key.seq,
                result=result,
                attempt=task.attempt,
                worker_id=worker_id,
                started_ms=epoch_ms(started_at),
            )
            return Finish(fact)
        case AlreadyRecorded():
            return Recorded()
        case Canceled():
            return Drop()
        case Interrupted(called):
            # As after a crash: its lease brings it back, and the delivery counts, as the function may be the cause.
            return Drop() if called else HandBack()
        case Hindered(failure):
            return deferral(task, now, failure)
        case Raised(failure, final, _):
            again = None if final else _next_attempt_at(task, failure, now, random)
            timed_out = False
        case TimedOut(failure):
            again = _next_attempt_at(task, failure, now, random)
            timed_out = True
    if again is not None and (task.expires_at is None or again < task.expires_at):
        return Retry(again, _remembered(task, failure, started_at, now))
    return Finish(failed(task, failure, worker_id, started_at, timed_out=timed_out or again is not None))


def failed(
    task: ClaimedTask, failure: Failure, worker_id: str, started_at: datetime | None, *, timed_out: bool = False
) -> ActivityFailed:
    """Return the fact that a task failed for good."""
    return ActivityFailed(
        scheduled_seq=task.key.seq,
        failure=failure,
        attempt=task.attempt,
        timed_out=timed_out,
        worker_id=worker_id,
        started_ms=None if started_at is None else epoch_ms(started_at),
    )


def refusal(task: ClaimedTask, *, worker_id: str, max_deliveries: int, now: datetime) -> Finish | None:
    """Return why a delivered task must not be run at all, or None."""
    if task.expires_at is not None and task.expires_at <= now:
        failure = _last_failure(task) or Failure("TimeoutError", f"Activity {task.name!r} ran out of its total time.")
        return Finish(failed(task, failure, worker_id, None, timed_out=True))
    if task.deliveries > max_deliveries:
        failure = Failure(
            "Poisoned",
            f"Activity {task.name!r} was delivered {task.deliveries:,} times and never ended, the limit is "
            f"{max_deliveries:,}. The usual cause is an activity that kills its worker process.",
        )
        return Finish(failed(task, failure, worker_id, None))
    return None


def deferral(task: ClaimedTask, now: datetime, hindrance: Failure | None = None) -> Defer:
    """Return when a task that cannot be run is looked at again: the pause grows with its age, to a minute."""
    age = now - task.created_at
    return Defer(now + min(max(age, SHORTEST_DEFERRAL), LONGEST_DEFERRAL), hindrance)


def timeout_failure(task: ClaimedTask, limit_ms: int) -> Failure:
    """Return the failure of an attempt that was still running after `limit_ms`."""
    return Failure("TimeoutError", f"Activity {task.name!r} ran longer than {limit_ms:,} ms in attempt {task.attempt}.")


def attempt_limit(task: ClaimedTask, now: datetime) -> float | None:
    """Return how many seconds an attempt that starts now may run: its own limit or what is left of the total."""
    limits = []
    if task.start_to_close_ms is not None:
        limits.append(task.start_to_close_ms / 1000)
    if task.expires_at is not None:
        limits.append(max((task.expires_at - now).total_seconds(), 0.0))
    return min(limits, default=None)


def _next_attempt_at(task: ClaimedTask, failure: Failure, now: datetime, random: float) -> datetime | None:
    policy = RetryPolicy.from_dict(task.retry) if task.retry else None
    if policy is None or not policy.allows(task.attempt, failure):
        return None
    return now + timedelta(milliseconds=policy.delay_ms(task.attempt, random))


def _remembered(task: ClaimedTask, failure: Failure, started_at: datetime, now: datetime) -> list[dict[str, Any]]:
    latest = {
        "attempt": task.attempt,
        "error_type": failure.error_type,
        "message": failure.message[:FAILURE_CHARACTERS],
        "started_ms": epoch_ms(started_at),
        "failed_ms": epoch_ms(now),
    }
    return [*task.failures, latest][-FAILURES_KEPT:]


def _last_failure(task: ClaimedTask) -> Failure | None:
    if not task.failures:
        return None
    last = task.failures[-1]
    return Failure(last["error_type"], last["message"])
