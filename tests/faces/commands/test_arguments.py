"""What options mean, and how values are written."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import UTC, datetime, timedelta

import pytest

from django_durable.management import arguments, rendering


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", timedelta(seconds=90)),
        ("0", timedelta(0)),
        ("1.5", timedelta(seconds=1.5)),
        ("250ms", timedelta(milliseconds=250)),
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("15min", timedelta(minutes=15)),
        ("2h30m", timedelta(hours=2, minutes=30)),
        ("2h 30m", timedelta(hours=2, minutes=30)),
        ("7D", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
    ],
)
def test_durations(text, expected):
    assert arguments.duration(text) == expected


@pytest.mark.parametrize("text", ["", "s", "-5s", "5x", "5s later", "1e3", "9" * 400 + "w"])
def test_what_is_no_duration(text):
    with pytest.raises(ArgumentTypeError):
        arguments.duration(text)


def test_moments_without_an_offset_are_of_the_projects_time_zone(settings):
    settings.TIME_ZONE = "Asia/Tokyo"
    assert arguments.moment("2026-05-01T09:00") == datetime(2026, 5, 1, tzinfo=UTC)
    assert arguments.moment("2026-05-01T09:00Z") == datetime(2026, 5, 1, 9, tzinfo=UTC)
    assert arguments.moment("2026-05-02") == datetime(2026, 5, 1, 15, tzinfo=UTC)


def test_the_past_may_be_a_duration_however_long():
    moment = arguments.past("2h")
    assert timedelta(hours=2) <= datetime.now(UTC) - moment < timedelta(hours=2, minutes=1)
    assert arguments.past("2026-05-01T09:00Z") == datetime(2026, 5, 1, 9, tzinfo=UTC)
    assert arguments.past("100000w") == arguments.EARLIEST


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (timedelta(0), "0 ms"),
        (timedelta(seconds=-5), "0 ms"),
        (timedelta(milliseconds=12), "12 ms"),
        (timedelta(seconds=3.44), "3.4 s"),
        (timedelta(seconds=59), "59 s"),
        (timedelta(minutes=5, seconds=3), "5 min 3 s"),
        (timedelta(hours=2, minutes=5), "2 h 5 min"),
        (timedelta(days=1_200, hours=3), "1,200 d 3 h"),
    ],
)
def test_durations_are_written_in_two_units(length, expected):
    assert rendering.duration(length) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("grün", "grün"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\u202eb", r"a\u202eb"),
        ("two\nlines", "two lines"),
        ("x" * 12, "xxxxxxx..."),
    ],
)
def test_text_is_one_line_that_no_terminal_obeys(text, expected):
    assert rendering.one_line(text, 10) == expected


def test_numbers_have_their_noun():
    assert [rendering.count(number, "instance") for number in (0, 1, 2_000)] == [
        "0 instances",
        "1 instance",
        "2,000 instances",
    ]
