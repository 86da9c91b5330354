"""The table of what was traced beside a history: each span under the one that it is in."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _, ngettext

from ..engine.spans import ERROR, OK, SpanRecord
from . import text

DEEPEST = 6
"""How many levels are indented; what is deeper stands below the last."""


@dataclass(frozen=True, slots=True)
class TracedLine:
    """A row. `details` are the attributes, events and links, None where there are none or they are not to be seen."""

    id: str
    depth: int
    name: str
    short_name: str
    kind: str
    started: str
    took: str
    status: str
    tone: str
    summary: str
    details: text.PayloadText | None

    @property
    def key(self) -> str:
        """The id of its folded details, by which the page keeps them open."""
        return f"d-span-{self.id}"


def lines_of(records: Sequence[SpanRecord], *, now: datetime, payloads: bool) -> list[TracedLine]:
    """Return the rows of the spans, turns excepted that have nothing to tell besides the timeline."""
    shown = [each for each in records if each.kind != "turn" or each.events]
    ids = {each.span_id for each in shown}
    within: dict[str | None, list[SpanRecord]] = defaultdict(list)
    for each in shown:
        within[each.parent_id if each.parent_id in ids else None].append(each)
    return [_line(record, depth, now, payloads) for record, depth in _nested(within, None, 0)]


def _nested(
    within: dict[str | None, list[SpanRecord]], parent: str | None, depth: int
) -> Iterator[tuple[SpanRecord, int]]:
    for each in within[parent]:
        yield each, depth
        yield from _nested(within, each.span_id, min(depth + 1, DEEPEST))


def _line(record: SpanRecord, depth: int, now: datetime, payloads: bool) -> TracedLine:
    kinds = {"turn": _("turn"), "attempt": _("attempt"), "span": _("span")}
    statuses = {OK: _("done"), ERROR: _("failed")}
    ended = _("ended") if record.ended_at is not None else _("open")
    details = "\n".join(_details(record)) if payloads else ""
    return TracedLine(
        id=record.span_id,
        depth=depth,
        name=record.name,
        short_name=text.last_part(record.name),
        kind=kinds.get(record.kind, record.kind),
        started=text.moment(record.started_at, precise=True),
        took=text.duration((record.ended_at or max(now, record.started_at)) - record.started_at),
        status=statuses.get(record.status, ended),
        tone={OK: "good", ERROR: "bad"}.get(record.status, ""),
        summary=_summary(record),
        details=text.PayloadText(details, "", len(details), complete=True) if details else None,
    )


def _details(record: SpanRecord) -> Iterator[str]:
    """Yield what a span has to tell, a line for each thing."""
    if record.message:
        yield record.message
    yield from (f"{name}: {_written(value)}" for name, value in record.attributes.items())
    for link in record.links:
        yield f"→ {' '.join(link.values())}"
    for event in record.events:
        at = timezone.localtime(datetime.fromisoformat(event["at"]))
        attributes = dict(event.get("attributes", {}))
        said = [event["name"]]
        if event["name"] == "log":
            said = [str(attributes.pop(name, "")) for name in ("level", "message")]
        said += [f"{name}={_written(value)}" for name, value in attributes.items()]
        yield f"{at:%H:%M:%S}.{at.microsecond // 1000:03}  {' '.join(said)}"


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _summary(record: SpanRecord) -> str:
    if record.message:
        return text.short(record.message)
    if record.events:
        return ngettext("%(count)s event", "%(count)s events", len(record.events)) % {"count": len(record.events)}
    return _("details")
