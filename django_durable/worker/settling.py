"""Writes the outcomes of attempts that no turn takes, all of one kind by one call."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from ..store import activities
from ..store.records import TaskKey
from ..store.spans import SpanOf
from .attempts import Attempt
from .outcomes import Defer, Drop, Finish, HandBack, Outcome, Recorded, Retry

Ended = Sequence[tuple[Attempt, Outcome]]


def settle(ended: Ended, *, lease: timedelta, now: datetime, using: str) -> Iterator[tuple[list[Attempt], int]]:
    """Write outcomes, and yield after each write which attempts are done with, and how many had lost their lease.

    Whoever iterates notes them as done before asking for more: an error in a later write leaves the rest to repeat.
    Writes: ActivityTask, InboxMessage, TraceSpan; one transaction per kind of outcome.
    """
    yield [attempt for attempt, outcome in ended if isinstance(outcome, Recorded | Drop)], 0
    if finished := [(attempt, outcome.fact) for attempt, outcome in ended if isinstance(outcome, Finish)]:
        rows = [(attempt.task.key, attempt.task.lease_token, fact) for attempt, fact in finished]
        lost = activities.finish_activities(rows, now, spans=_spans([attempt for attempt, _ in finished]), using=using)
        yield [attempt for attempt, _ in finished], len(lost)
    if retried := [(attempt, outcome) for attempt, outcome in ended if isinstance(outcome, Retry)]:
        _note_heartbeats([attempt for attempt, _ in retried], lease, now, using)
        rows_again = [(*_leased(each), retry.visible_at, json.dumps(retry.failures)) for each, retry in retried]
        activities.retry_activities(rows_again, spans=_spans([attempt for attempt, _ in retried]), using=using)
        yield [attempt for attempt, _ in retried], 0
    for until, deferred in _by_time(ended).items():
        activities.defer([_leased(each) for each in deferred], until, now, using=using)
        yield deferred, 0
    if handed_back := [attempt for attempt, outcome in ended if isinstance(outcome, HandBack)]:
        _note_heartbeats(handed_back, lease, now, using)
        activities.hand_back([_leased(each) for each in handed_back], now, using=using)
        yield handed_back, 0


def _note_heartbeats(attempts: Sequence[Attempt], lease: timedelta, now: datetime, using: str) -> None:
    """Store the details that the next attempt shall find; their leases are still held, and stay so until it is due."""
    for attempt in attempts:
        if attempt.heartbeat is not None:
            activities.record_heartbeat(*_leased(attempt), attempt.heartbeat, lease, now, using=using)


def _spans(attempts: Sequence[Attempt]) -> list[SpanOf]:
    return [span for attempt in attempts for span in attempt.owned_spans()]


def _leased(attempt: Attempt) -> tuple[TaskKey, int]:
    return attempt.task.key, attempt.task.lease_token


def _by_time(ended: Ended) -> dict[datetime, list[Attempt]]:
    found: dict[datetime, list[Attempt]] = {}
    for attempt, outcome in ended:
        if isinstance(outcome, Defer):
            found.setdefault(outcome.until, []).append(attempt)
    return found
