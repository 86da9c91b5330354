"""The streams of an instance on its page: what there is of each, and its last items."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ..client.surveying import Bounds
from ..client.viewing import client
from ..models import Instance
from ..store.streamreads import ItemExcerpt, StreamRecord
from . import text

STREAMS_SHOWN = 50
ITEMS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Item:
    """One item. `key` names the folded payload, so that it stays open when the page refreshes."""

    position: int
    shown: text.PayloadText | None
    at: SafeString | str
    key: str


@dataclass(frozen=True, slots=True)
class Line:
    """One stream. `earlier` is the position before which there are more items, if there are."""

    name: str
    count: str
    positions: str
    state: str
    items: list[Item]
    earlier: int | None
    is_paged: bool


def lines_of(instance: Instance, below: tuple[str, int] | None, *, reads: Callable[[str], bool]) -> list[Line]:
    """Return the streams of an instance by one query, and their last items by another.

    Args:
        below: A stream, and the position before which its items are shown in place of its last ones.
        reads: Whether whoever looks may read a stream.
    """
    records = client.list_streams(instance.instance_id)[:STREAMS_SHOWN]
    readable = [each.name for each in records if reads(each.name)]
    places = {name: below[1] if below and below[0] == name else None for name in readable}
    found = client.survey_items(
        instance.pk,
        places,
        limit=ITEMS_SHOWN,
        characters=Bounds().characters_per_row,
        instance_id=instance.instance_id,
    )
    return [
        _line(
            each,
            number,
            [item for item in found if item.stream == each.name],
            is_paged=places.get(each.name) is not None,
            reads=each.name in places,
        )
        for number, each in enumerate(records)
    ]


def _line(record: StreamRecord, number: int, items: list[ItemExcerpt], *, is_paged: bool, reads: bool) -> Line:
    first, last = record.first_position, record.last_position
    return Line(
        name=record.name,
        count=f"{record.items:,}",
        positions=f"{first:,} … {last:,}" if record.items else f"{last:,}",
        state=_state(record, reads),
        items=[
            Item(
                position=each.position,
                shown=text.payload(each.payload),
                at=text.moment(each.created_at),
                key=f"d-item-{number}-{each.position}",
            )
            for each in items
        ],
        earlier=items[0].position if items and items[0].position > first else None,
        is_paged=is_paged,
    )


def _state(record: StreamRecord, reads: bool) -> str:
    if not record.closed:
        return _("open, read by its code") if record.awaited else _("open")
    reason = json.loads(record.reason) if record.reason and reads else None
    return _("closed: %(reason)s") % {"reason": reason} if reason else _("closed")
