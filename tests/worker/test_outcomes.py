"""How an attempt ends and what is written because of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from django_durable.engine.events import ActivityCompleted, ActivityFailed
from django_durable.engine.failures import Failure
from django_durable.engine.retry import RetryPolicy
from django_durable.store.records import ClaimedTask, TaskKey
from django_durable.worker.outcomes import (
    FAILURES_KEPT,
    AlreadyRecorded,
    Canceled,
    Defer,
    Drop,
    Finish,
    HandBack,
    Hindered,
    Interrupted,
    Outcome,
    Raised,
    Recorded,
    Retry,
    Returned,
    TimedOut,
    attempt_limit,
    decide,
    deferral,
    refusal,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BOOM = Failure("ValueError", "boom")
TASK = ClaimedTask(
    key=TaskKey(7, 1, 3),
    instance_id="order-7",
    orchestration="checkout",
    version="1.0.0",
    name="charge",
    input="1",
    tag=None,
    session_id=None,
    attempt=1,
    deliveries=1,
    retry=None,
    start_to_close_ms=None,
    expires_at=None,
    failures=[],
    heartbeat=None,
    lease_token=1,
    created_at=NOW,
)


def decided(task: ClaimedTask, ending: object, random: float = 0.0) -> Outcome:
    return decide(task, ending, worker_id="w", started_at=NOW, now=NOW, random=random)  # type: ignore[arg-type]


def with_policy(**arguments: object) -> ClaimedTask:
    return replace(TASK, retry=RetryPolicy(**arguments).as_dict())  # type: ignore[arg-type]


def test_a_result_completes_the_activity() -> None:
    outcome = decided(TASK, Returned("42"))

    assert isinstance(outcome, Finish)
    assert isinstance(outcome.fact, ActivityCompleted)
    assert (outcome.fact.scheduled_seq, outcome.fact.result, outcome.fact.worker_id) == (3, "42", "w")


def test_an_error_without_a_policy_fails_at_once() -> None:
    outcome = decided(TASK, Raised(BOOM))

    assert isinstance(outcome, Finish)
    assert isinstance(outcome.fact, ActivityFailed)
    assert (outcome.fact.failure, outcome.fact.timed_out) == (BOOM, False)


def test_an_error_that_the_policy_allows_is_tried_again_after_its_pause() -> None:
    outcome = decided(with_policy(initial=1000, jitter=0.5), Raised(BOOM), random=0.5)

    assert isinstance(outcome, Retry)
    assert outcome.visible_at == NOW + timedelta(milliseconds=750)
    assert [(each["attempt"], each["error_type"]) for each in outcome.failures] == [(1, "ValueError")]


def test_the_last_attempt_fails() -> None:
    outcome = decided(replace(with_policy(max_attempts=2), attempt=2), Raised(BOOM))

    assert isinstance(outcome, Finish)
    assert outcome.fact.attempt == 2


def test_an_error_that_the_policy_names_is_not_tried_again() -> None:
    assert isinstance(decided(with_policy(non_retryable=(ValueError,)), Raised(BOOM)), Finish)


def test_a_payload_error_is_never_tried_again() -> None:
    assert isinstance(decided(with_policy(), Raised(BOOM, final=True)), Finish)


def test_a_timeout_is_tried_again_like_an_error() -> None:
    assert isinstance(decided(with_policy(), TimedOut(BOOM)), Retry)


def test_the_timeout_of_the_last_attempt_is_a_timeout_of_the_activity() -> None:
    outcome = decided(TASK, TimedOut(BOOM))

    assert isinstance(outcome, Finish)
    assert isinstance(outcome.fact, ActivityFailed)
    assert outcome.fact.timed_out


def test_a_retry_that_would_start_after_the_total_time_is_a_timeout() -> None:
    task = replace(with_policy(initial=1000), expires_at=NOW + timedelta(seconds=1))

    outcome = decided(task, Raised(BOOM))

    assert isinstance(outcome, Finish)
    assert isinstance(outcome.fact, ActivityFailed)
    assert (outcome.fact.timed_out, outcome.fact.failure) == (True, BOOM)


def test_remembered_failures_are_bounded() -> None:
    task = replace(with_policy(max_attempts=10_000), attempt=900, failures=[{"attempt": n} for n in range(900)])

    outcome = decided(task, Raised(BOOM))

    assert isinstance(outcome, Retry)
    assert len(outcome.failures) == FAILURES_KEPT
    assert outcome.failures[-1]["attempt"] == 900


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [
        (Canceled(), Drop()),
        (AlreadyRecorded(), Recorded()),
        (Interrupted(called=True), Drop()),
        (Interrupted(called=False), HandBack()),
    ],
)
def test_what_nobody_waits_for_is_not_written(ending: object, outcome: Outcome) -> None:
    assert decided(TASK, ending) == outcome


def test_a_task_within_its_limits_is_run() -> None:
    assert refusal(TASK, worker_id="w", max_deliveries=1, now=NOW) is None


def test_a_task_delivered_too_often_is_poisoned() -> None:
    refused = refusal(replace(TASK, deliveries=11), worker_id="w", max_deliveries=10, now=NOW)

    assert refused is not None
    assert isinstance(refused.fact, ActivityFailed)
    assert refused.fact.failure.error_type == "Poisoned"


def test_an_expired_task_fails_with_the_error_of_its_last_attempt() -> None:
    task = replace(TASK, expires_at=NOW, failures=[{"error_type": "ValueError", "message": "boom"}])

    refused = refusal(task, worker_id="w", max_deliveries=10, now=NOW)

    assert refused is not None
    assert isinstance(refused.fact, ActivityFailed)
    assert (refused.fact.timed_out, refused.fact.failure) == (True, BOOM)


def test_the_attempt_limit_is_the_nearer_of_its_own_and_the_total() -> None:
    task = replace(TASK, start_to_close_ms=5000, expires_at=NOW + timedelta(seconds=3))

    assert attempt_limit(task, NOW) == 3
    assert attempt_limit(task, NOW - timedelta(seconds=10)) == 5
    assert attempt_limit(TASK, NOW) is None


@pytest.mark.parametrize(("age", "pause"), [(0, 1), (10, 10), (3600, 60)])
def test_a_task_that_is_not_registered_is_looked_at_less_and_less_often(age: int, pause: int) -> None:
    task = replace(TASK, created_at=NOW - timedelta(seconds=age))

    assert deferral(task, NOW) == Defer(NOW + timedelta(seconds=pause))


def test_an_attempt_that_the_database_hindered_is_made_later_and_does_not_count() -> None:
    assert decided(TASK, Hindered(BOOM)) == Defer(NOW + timedelta(seconds=1), BOOM)
