from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from django_durable.engine.durations import milliseconds
from django_durable.engine.errors import InvalidArgument
from django_durable.engine.failures import Failure
from django_durable.engine.retry import RetryPolicy

policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 10_000),
    backoff=st.sampled_from(["none", "fixed", "linear", "exponential"]),
    initial=st.integers(0, 10**9),
    multiplier=st.floats(1, 1e300) | st.integers(1, 10),
    max_delay=st.integers(0, 10**10),
    jitter=st.floats(0, 1),
    non_retryable=st.lists(st.sampled_from(["Declined", ValueError, KeyError]), max_size=2).map(tuple),
)


class Declined(Exception):
    pass


@pytest.mark.parametrize(
    ("backoff", "pauses"),
    [
        ("none", [0, 0, 0, 0, 0, 0]),
        ("fixed", [100, 100, 100, 100, 100, 100]),
        ("linear", [100, 200, 300, 400, 500, 500]),
        ("exponential", [100, 200, 400, 500, 500, 500]),
    ],
)
def test_the_pause_grows_as_the_backoff_says_up_to_the_longest(backoff: Any, pauses: list[int]) -> None:
    policy = RetryPolicy(max_attempts=9, backoff=backoff, initial=100, max_delay=500)

    assert [policy.delay_ms(attempt, 0.5) for attempt in range(1, 7)] == pauses


def test_a_small_multiplier_still_reaches_the_longest_pause() -> None:
    policy = RetryPolicy(max_attempts=1000, multiplier=1.01, initial=1000, max_delay=timedelta(minutes=1))

    assert policy.delay_ms(500, 0.0) == 60_000


@pytest.mark.parametrize("initial", [0, 1])
def test_thousands_of_attempts_and_huge_multipliers_overflow_nothing(initial: int) -> None:
    policy = RetryPolicy(max_attempts=10_000, multiplier=1e300, initial=initial, max_delay=700)

    assert policy.delay_ms(9_999, 0.0) == initial * 700


@given(policies, st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_pause_is_never_negative_nor_over_the_longest(policy: RetryPolicy, attempt: int, chance: float) -> None:
    assert 0 <= policy.delay_ms(attempt, chance) <= milliseconds(policy.max_delay)


def test_jitter_takes_away_up_to_its_share() -> None:
    policy = RetryPolicy(backoff="fixed", initial=1000, jitter=0.2)

    assert policy.delay_ms(1, 0.0) == 1000
    assert policy.delay_ms(1, 0.5) == 900
    assert 800 <= policy.delay_ms(1, 0.999) < 802


def test_attempts_are_counted_with_the_first() -> None:
    policy = RetryPolicy(max_attempts=2)

    assert policy.allows(1, Failure("ValueError", ""))
    assert not policy.allows(2, Failure("ValueError", ""))


@pytest.mark.parametrize("refused", [Declined, f"{__name__}.Declined", "Declined"])
def test_an_error_named_by_class_path_or_bare_name_is_not_tried_again(refused: Any) -> None:
    policy = RetryPolicy(non_retryable=(refused,))

    assert not policy.allows(1, Failure(f"{__name__}.Declined", ""))
    assert policy.allows(1, Failure("ValueError", ""))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"max_attempts": 0}, "max_attempts"),
        ({"max_attempts": True}, "max_attempts"),
        ({"max_attempts": 2.5}, "max_attempts"),
        ({"backoff": "quadratic"}, "backoff"),
        ({"jitter": 1.5}, "jitter"),
        ({"jitter": -0.1}, "jitter"),
        ({"jitter": float("nan")}, "jitter"),
        ({"multiplier": 0.5}, "multiplier"),
        ({"multiplier": float("nan")}, "multiplier"),
        ({"multiplier": float("inf")}, "multiplier"),
        ({"initial": -1}, "initial"),
        ({"initial": "1s"}, "initial"),
        ({"max_delay": timedelta(days=-1)}, "max_delay"),
        ({"timeout": 1.5}, "timeout"),
        ({"total_timeout": -5}, "total_timeout"),
        ({"non_retryable": "ValueError"}, "non_retryable"),
        ({"non_retryable": ValueError}, "non_retryable"),
        ({"non_retryable": (int,)}, "non_retryable"),
    ],
)
def test_a_value_that_cannot_mean_anything_is_named(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^{named} is "):
        RetryPolicy(**arguments)


@given(policies)
def test_a_policy_survives_the_way_through_a_history_but_for_its_timeouts(policy: RetryPolicy) -> None:
    stored = json.loads(json.dumps(policy.as_dict()))
    named = tuple(each if isinstance(each, str) else each.__name__ for each in policy.non_retryable)

    assert RetryPolicy.from_dict(stored) == replace(policy, non_retryable=named)
    assert RetryPolicy.from_dict(stored).as_dict() == policy.as_dict()


def test_a_mapping_may_spell_durations_with_their_unit() -> None:
    given = {"max_attempts": 4, "backoff": "fixed", "initial_ms": 500, "timeout_ms": 250}

    assert RetryPolicy.coerce(given) == RetryPolicy(max_attempts=4, backoff="fixed", initial=500, timeout=250)


def test_a_policy_is_taken_as_it_is() -> None:
    policy = RetryPolicy()

    assert RetryPolicy.coerce(policy) is policy


@pytest.mark.parametrize("given", [{"backoff_strategy": "none"}, {"attempts": 3}])
def test_an_unknown_key_is_refused_with_the_known_ones(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="unknown keys .* known keys are max_attempts, backoff"):
        RetryPolicy.coerce(given)


@pytest.mark.parametrize("given", [None, 3, "none"])
def test_what_is_neither_policy_nor_mapping_is_refused(given: Any) -> None:
    with pytest.raises(InvalidArgument, match="expected a RetryPolicy or a mapping"):
        RetryPolicy.coerce(given)
