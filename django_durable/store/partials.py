"""The partial results of generators: items of a stream, each from the activity that yielded it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from ..engine.events import ActivityScheduled, Payload
from ..models import Execution, HistoryEvent, Stream, StreamItem
from .records import TaskKey

LOADED_AT_ONCE = 1000


class PartialsOf(NamedTuple):
    """Where the partial results of an activity go; `inherits` those that it had stored in an earlier execution."""

    stream: str
    inherits: bool


def partials_of(key: TaskKey, *, using: str) -> PartialsOf | None:
    """Return where the partial results of an activity go, None where it was scheduled as one that returns.

    A retry copies the events of the execution that it goes back in, with the time they were recorded. What was stored
    there is its own, unless some of it was trimmed before. Two queries, three after a retry.
    """
    event = HistoryEvent.objects.using(using).filter(
        instance=key.instance, execution_number=key.execution, seq=key.seq, kind=ActivityScheduled.__name__
    )
    found = event.values_list("data", "recorded_at").first()
    stream = json.loads(found[0] or "{}").get("stream") if found is not None else None
    if found is None or stream is None:
        return None
    started = Execution.objects.using(using).filter(instance=key.instance, number=key.execution)
    started_at = started.values_list("started_at", flat=True).first()
    if started_at is None or found[1] >= started_at:
        return PartialsOf(stream, inherits=False)
    trimmed = Stream.objects.using(using).filter(instance=key.instance, name=stream, trimmed_to__gt=0)
    return PartialsOf(stream, inherits=not trimmed.exists())


def load_partials(key: TaskKey, found: PartialsOf, *, using: str) -> Iterator[Payload]:
    """Yield what an activity has yielded in all its attempts, in order; one query for up to `LOADED_AT_ONCE`."""
    items = StreamItem.objects.using(using).filter(
        instance=key.instance, stream=found.stream, source_seq=key.seq, closes=False
    )
    if not found.inherits:
        items = items.filter(execution_number=key.execution)
    after = 0
    while True:
        rows = list(
            items.filter(position__gt=after).order_by("position").values_list("position", "payload")[:LOADED_AT_ONCE]
        )
        yield from (payload for _, payload in rows)
        if len(rows) < LOADED_AT_ONCE:
            return
        after = rows[-1][0]
