from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, strategies as st

from django_durable.engine.durations import EPOCH, LONGEST_MS, checked_moment, epoch_ms, from_epoch_ms, milliseconds
from django_durable.engine.errors import InvalidArgument


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (0, 0),
        (1500, 1500),
        (timedelta(0), 0),
        (timedelta(seconds=1.5), 1500),
        (timedelta(days=2), 172_800_000),
        (timedelta(microseconds=1), 1),
        (timedelta(milliseconds=3, microseconds=1), 4),
        (LONGEST_MS, LONGEST_MS),
    ],
)
def test_a_duration_is_whole_milliseconds_rounded_up(duration: timedelta | int, expected: int) -> None:
    assert milliseconds(duration) == expected


@pytest.mark.parametrize("duration", [-1, timedelta(microseconds=-1001), 10**19, LONGEST_MS + 1, timedelta.max])
def test_a_duration_that_cannot_be_is_refused(duration: timedelta | int) -> None:
    with pytest.raises(InvalidArgument, match="ms"):
        milliseconds(duration)


@pytest.mark.parametrize("duration", [1.5, "5", None, True, float("nan"), b"5"])
def test_only_a_timedelta_or_an_int_is_a_duration(duration: object) -> None:
    with pytest.raises(InvalidArgument, match="the pause is .* expected a timedelta or an int of milliseconds"):
        milliseconds(duration, "the pause")  # type: ignore[arg-type]


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2400, 1, 1), timezones=st.just(UTC)))
def test_milliseconds_since_the_epoch_are_rounded_down(moment: datetime) -> None:
    back = from_epoch_ms(epoch_ms(moment))

    assert timedelta(0) <= moment - back < timedelta(milliseconds=1)


@given(st.integers(min_value=0, max_value=LONGEST_MS))
def test_milliseconds_since_the_epoch_survive_the_way_there_and_back(value: int) -> None:
    assert epoch_ms(from_epoch_ms(value)) == value


def test_the_epoch_is_counted_in_utc_wherever_a_datetime_is_from() -> None:
    elsewhere = datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))

    assert epoch_ms(elsewhere) == epoch_ms(EPOCH) == 0


@pytest.mark.parametrize("moment", [datetime(1970, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, 23, 59, tzinfo=UTC)])
def test_a_moment_that_every_database_and_time_zone_can_hold_is_taken(moment):
    assert checked_moment(moment, "start_at") is moment


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 1, 1),
        "2026-01-01",
        1.0,
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-12))),
    ],
)
def test_a_moment_that_cannot_be_is_refused_by_its_name(moment):
    with pytest.raises(InvalidArgument, match="start_at is"):
        checked_moment(moment, "start_at")
