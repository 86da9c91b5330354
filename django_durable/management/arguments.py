"""What several commands take: durations, moments, JSON, filters."""

from __future__ import annotations

import json
import re
import sys
from argparse import ArgumentParser, ArgumentTypeError, _ArgumentGroup
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from django.core.management.base import CommandParser
from django.utils import timezone

from ..client import InstanceFilter
from ..engine.states import RuntimeStatus

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|min|[smhdw])", re.ASCII)
_NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)
# Within what every database and time zone can hold.
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)

FOREVER = timedelta.max

DURATION = "Such as 90s, 15m, 2h30m or 7d; a bare number is seconds."
MOMENT = "ISO 8601, in the project's time zone where it names none."
JSON_TEXT = "JSON, @FILE to read it from a file, or - to read it from standard input."


def duration(text: str) -> timedelta:
    """Return what `2h30m`, `7d` or `90` (seconds) means."""
    written = text.strip().lower()
    parts = _PART.findall(written)
    if _NUMBER.fullmatch(written):
        parts = [(written, "s")]
    elif not parts or _PART.sub("", written).strip():
        raise ArgumentTypeError(f"{text!r:.80} is no duration, expected one such as 90s, 15m, 2h30m or 7d.")
    try:
        return sum((float(number) * _UNITS[unit] for number, unit in parts), timedelta(0))
    except OverflowError:
        raise ArgumentTypeError(f"{text!r:.80} is too long a duration.") from None


def moment(text: str) -> datetime:
    """Return an ISO 8601 date, or date and time, as an aware datetime."""
    try:
        found = datetime.fromisoformat(text.strip())
        if timezone.is_naive(found):
            found = timezone.make_aware(found)
        fits = EARLIEST <= found < LATEST
    except (ValueError, OverflowError):
        raise ArgumentTypeError(
            f"{text!r:.80} is no moment, expected ISO 8601, such as 2026-05-01 or 2026-05-01T12:30:00+02:00."
        ) from None
    if not fits:
        raise ArgumentTypeError(f"{text!r:.80} is not between 1970 and 9999.")
    return found


def past(text: str) -> datetime:
    """Return a moment, written as such or as how long ago it is: `2h`."""
    try:
        return moment(text)
    except ArgumentTypeError:
        try:
            ago = duration(text)
        except ArgumentTypeError:
            raise ArgumentTypeError(
                f"{text!r:.80} is no moment, expected how long ago it is, such as 2h or 30d, or ISO 8601, such as "
                "2026-05-01T12:30:00+02:00."
            ) from None
    try:
        return max(datetime.now(UTC) - ago, EARLIEST)
    except OverflowError:
        return EARLIEST


def json_value(text: str) -> Any:
    """Return the value of JSON text, of that in a file (`@orders.json`), or of that on standard input (`-`)."""
    place = "It"
    if text == "-":
        place, text = "Standard input", sys.stdin.read()
    elif text.startswith("@"):
        place, path = text[1:], Path(text[1:])
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ArgumentTypeError(f"{place} cannot be read: {error}.") from None
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        hint = " Text is written in quotes: '\"like this\"'." if place == "It" else ""
        raise ArgumentTypeError(f"{place} is no JSON: {error}.{hint}") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not in JSON")


def whole(least: int, most: int | None = None) -> Any:
    """Return a type of argument: whole numbers in a range."""

    def convert(text: str) -> int:
        try:
            found = int(text)
        except ValueError:
            found = least - 1
        if found < least or (most is not None and found > most):
            bounds = f"of at least {least:,}" if most is None else f"from {least:,} to {most:,}"
            raise ArgumentTypeError(f"{text!r:.80} is no whole number {bounds}.")
        return found

    return convert


def statuses(text: str) -> list[RuntimeStatus]:
    """Return one status, or several with commas; case does not matter."""
    known = {each.lower(): each for each in RuntimeStatus}
    names = [name.strip() for name in text.split(",")]
    if wrong := [name for name in names if name.lower() not in known]:
        raise ArgumentTypeError(f"There is no status {wrong[0]!r:.80}; the statuses are {', '.join(RuntimeStatus)}.")
    return [known[name.lower()] for name in names]


class OwnVersionOption:
    """Mix-in of commands whose `--version` is that of an orchestration; Django's own is `manage.py --version`."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser: CommandParser = super().create_parser(  # type: ignore[misc]
            prog_name, subcommand, conflict_handler="resolve", **kwargs
        )
        return parser


FILTER = (
    "orchestration", "version", "instance_id_prefix", "parent", "has_parent",
    "created_after", "created_before", "completed_after", "completed_before",
)  # fmt: skip


def add_filter(parser: ArgumentParser, *, title: str = "filter") -> _ArgumentGroup:
    """Add the options of an `InstanceFilter`."""
    group = parser.add_argument_group(title, "Which instances; all that is given must hold.")
    group.add_argument(
        "-s",
        "--status",
        dest="runtime_status",
        type=statuses,
        action="extend",
        help=f"Only those with this status, or one of several with commas: {', '.join(RuntimeStatus)}.",
    )
    group.add_argument("-o", "--orchestration", help="Only those of this orchestration.")
    group.add_argument("--version", help="Only those of this version of their orchestration.")
    group.add_argument("--prefix", dest="instance_id_prefix", help="Only those whose id starts like this.")
    group.add_argument("--parent", metavar="INSTANCE_ID", help="Only the direct children of this instance.")
    group.add_argument(
        "--roots", dest="has_parent", action="store_false", default=None, help="Only those without a parent."
    )
    group.add_argument("--children", dest="has_parent", action="store_true", help="Only those with a parent.")
    for name, what in (("created", "were started"), ("completed", "ended")):
        for side in ("after", "before"):
            group.add_argument(
                f"--{name}-{side}",
                type=past,
                metavar="MOMENT",
                help=f"Only those that {what} {side} this: a moment, or how long ago it is, such as 2h or 7d.",
            )
    return group


def is_filtered(options: Mapping[str, Any]) -> bool:
    """Tell whether any option of a filter was given."""
    return any(options.get(name) is not None for name in ("runtime_status", *FILTER))


def filter_of(options: Mapping[str, Any], **more: Any) -> InstanceFilter:
    """Return the filter that was asked for. Raises: InvalidArgument."""
    given = {name: options.get(name) for name in ("runtime_status", *FILTER)}
    return InstanceFilter(**{**given, **more})
