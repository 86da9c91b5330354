"""Durations as the public API takes them, a `timedelta` or an int of milliseconds; and moments, aware datetimes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from .errors import InvalidArgument

Duration = timedelta | int

LONGEST_MS = 100 * 366 * 24 * 3600 * 1000
"""A century. Longer ones are mistakes (seconds taken for milliseconds, an overflow) and would not fit a datetime."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 1, 1, tzinfo=UTC)
"""Moments from the epoch until then are what every database and time zone can hold."""
_MILLISECOND = timedelta(milliseconds=1)


def milliseconds(duration: Duration, name: str = "duration") -> int:
    """Return a duration in whole milliseconds, rounded up, so that nothing fires early.

    Raises: InvalidArgument: not a timedelta or int, negative, or longer than a century.
    """
    given: object = duration
    if isinstance(given, timedelta):
        value, rest = divmod(given, _MILLISECOND)
        value += bool(rest)
    elif isinstance(given, int) and not isinstance(given, bool):
        value = given
    else:
        raise InvalidArgument(
            f"{name} is {duration!r} ({type(duration).__name__}), expected a timedelta or an int of milliseconds."
        )
    if value < 0:
        raise InvalidArgument(f"{name} is {value:,} ms, expected zero or more.")
    if value > LONGEST_MS:
        raise InvalidArgument(f"{name} is {value:,} ms, the longest is a century ({LONGEST_MS:,} ms).")
    return value


def checked_moment(moment: object, name: str) -> datetime:
    """Return an aware datetime. Raises: InvalidArgument: it is none, or is before 1970 or after 9998."""
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise InvalidArgument(f"{name} is {moment!r:.80}, expected an aware datetime.")
    if not EPOCH <= moment < LATEST:
        raise InvalidArgument(f"{name} is {moment}, expected a time between 1970 and 9999.")
    return moment


def epoch_ms(moment: datetime) -> int:
    """Return an aware datetime as whole milliseconds since the epoch, rounded down."""
    return (moment - EPOCH) // _MILLISECOND


def from_epoch_ms(value: int) -> datetime:
    """Return milliseconds since the epoch as an aware UTC datetime."""
    return EPOCH + timedelta(milliseconds=value)
