"""How values are written on pages: durations, moments, statuses, payloads. All of it escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _, ngettext

from ..engine.states import ExecutionStatus, RuntimeStatus
from ..models import STATUS_LABELS
from ..store.insight import Excerpt

NOTHING = "\N{EN DASH}"
"""Stands where there is nothing to show."""

# A shape beside the word, so that a status is not told by colour alone.
MARKS = {
    "Pending": "○",
    "Running": "◐",
    "Completed": "✓",
    "Failed": "✕",
    "Canceled": "⊘",
    "Terminated": "■",
    "Suspended": "❙❙",
    "Blocked": "!",
    "ContinuedAsNew": "↻",
}
_LONGEST_LABEL = 120
_SHAPED = re.compile(r"^(\s|[*+-] |\d+\.)", re.MULTILINE)


def pill(status: RuntimeStatus | ExecutionStatus | str) -> SafeString:
    """Return a status as a pill."""
    word = str(status)
    label = _("Continued as new") if word == "ContinuedAsNew" else STATUS_LABELS[RuntimeStatus(word)]
    return mark(word.lower(), MARKS[word], label)


def mark(kind: str, sign: str, label: Any) -> SafeString:
    """Return a pill of any kind; its colours are those of `durable-<kind>` in the style sheet."""
    return format_html(
        '<span class="durable-pill durable-{}"><span aria-hidden="true">{}</span> {}</span>', kind, sign, label
    )


def duration(length: timedelta) -> str:
    """Return a duration in the two largest units that say something, for example `3.4 s` or `2 h 5 min`."""
    seconds = max(length.total_seconds(), 0.0)
    if seconds < 1:
        return _("%(count)s ms") % {"count": round(seconds * 1000)}
    if seconds < 60:
        return _("%(count)s s") % {"count": number_format(seconds, 1 if seconds < 10 else 0)}
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return _("%(minutes)s min %(seconds)s s") % {"minutes": minutes, "seconds": rest}
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return _("%(hours)s h %(minutes)s min") % {"hours": hours, "minutes": minutes}
    days, hours = divmod(hours, 24)
    return _("%(days)s d %(hours)s h") % {"days": number_format(days, use_l10n=True), "hours": hours}


def number(value: int) -> str:
    """Return a whole number with its thousands apart."""
    return str(number_format(value, use_l10n=True, force_grouping=True))


def ago(moment: datetime, now: datetime) -> str:
    """Return how far a moment is from now, in the past or the future, in the largest unit that fits."""
    if moment > now:
        return _("in %(duration)s") % {"duration": roughly(moment - now)}
    return _("%(duration)s ago") % {"duration": roughly(now - moment)}


def roughly(length: timedelta) -> str:
    """Return a duration in one unit."""
    seconds = max(length.total_seconds(), 0.0)
    if seconds < 60:
        return _("%(count)s s") % {"count": round(seconds)}
    if seconds < 5_400:
        return _("%(count)s min") % {"count": round(seconds / 60)}
    if seconds < 172_800:
        return _("%(count)s h") % {"count": round(seconds / 3_600)}
    return _("%(count)s d") % {"count": number_format(round(seconds / 86_400), use_l10n=True)}


def moment(at: datetime | None, *, precise: bool = False, text: str | None = None) -> SafeString | str:
    """Return a moment as `<time>`, in the current time zone: `text`, or the date and time, or precisely the time.

    All of it is in the title.
    """
    if at is None:
        return NOTHING
    local = timezone.localtime(at) if timezone.is_aware(at) else at
    whole = date_format(local, "Y-m-d H:i:s") + f".{local.microsecond // 1000:03}"
    shown = text if text is not None else whole[11:] if precise else whole[:-4]
    return format_html('<time datetime="{}" title="{} {}">{}</time>', at.isoformat(), whole, local.tzname(), shown)


def payload(excerpt: Excerpt | None) -> PayloadText | None:
    """Prepare a payload to be shown: indented where all of it is there and it is JSON."""
    if excerpt is None:
        return None
    text = excerpt.text
    if excerpt.complete:
        with suppress(ValueError):
            text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return PayloadText(text, _first_line(text), excerpt.length, excerpt.complete)


@dataclass(frozen=True, slots=True)
class PayloadText:
    """A payload as text to be escaped; `first` is its beginning in one line."""

    text: str
    first: str
    length: int
    complete: bool

    @property
    def note(self) -> str:
        """How much of it is missing, empty where nothing is."""
        if self.complete:
            return ""
        return ngettext(
            "Only the beginning of %(count)s character.", "Only the beginning of %(count)s characters.", self.length
        ) % {"count": number(self.length)}


def _first_line(text: str) -> str:
    line = " ".join(text[: _LONGEST_LABEL * 2].split())
    return line if len(line) <= 60 else f"{line[:59]}…"


def custom_status(value: str | None) -> SafeString | str:
    """Return a custom status in one line, with a bar where it is an object with a `progress` from 0 to 1."""
    if value is None:
        return NOTHING
    try:
        found = json.loads(value)
    except ValueError:
        return short(value)
    if not isinstance(found, dict):
        return short(found if isinstance(found, str) else value)
    progress = found.get("progress")
    if isinstance(progress, bool) or not isinstance(progress, int | float) or not 0 <= progress <= 1:
        return short(pairs(found.items()))
    rest = pairs((name, each) for name, each in found.items() if name != "progress")
    percent = f"{progress:.0%}"
    # `value` is not localized: it is read by the browser.
    return format_html(
        '<span class="durable-progress"><progress value="{}" max="1" aria-label="{}">{}</progress>'
        ' <span>{}</span></span> <span class="durable-quiet">{}</span>',
        f"{progress:.4f}",
        _("Progress"),
        percent,
        percent,
        short(rest),
    )


def pairs(items: Iterable[tuple[str, Any]]) -> str:
    """Return the members of an object in one line; one that is a sentence of its own stands alone."""
    found = list(items)
    telling = [str(value) for name, value in found if name in ("text", "step", "message")]
    return ", ".join(telling or [f"{name}: {_scalar(value)}" for name, value in found])


def _scalar(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def unwrapped(doc: str) -> str:
    """Return a docstring with each paragraph in one line; lists and indented blocks stay as they are."""
    return "\n\n".join(each if _SHAPED.search(each) else " ".join(each.split()) for each in doc.split("\n\n"))


def counts(numbers: Mapping[str, Any]) -> SafeString:
    """Return counters as a list, one in each line."""
    lines = format_html_join(
        "", "<li>{} <code>{}</code></li>", ((_scalar(count), name) for name, count in numbers.items())
    )
    return format_html('<ul class="durable-counts">{}</ul>', lines)


def short(text: str) -> str:
    """Return a text cut to one line of a table."""
    line = " ".join(text[: _LONGEST_LABEL * 2].split())
    return line if len(line) <= _LONGEST_LABEL else f"{line[: _LONGEST_LABEL - 1]}…"


def times(name: str, count: int) -> str:
    """Return a name with how often it is there, where that is more than once."""
    return name if count == 1 else f"{name} \N{MULTIPLICATION SIGN}{count:,}"


def last_part(name: str) -> str:
    """Return the function's own name of a dotted one."""
    return name.rpartition(".")[2] or name
