"""A history as plain data, to keep it in a file, show it or replay it elsewhere.

One object per event with the columns of `events.Columns`; `recorded_at` is ISO 8601 with an offset. Nothing is lost:
`load` gives back equal events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from .events import HistoryEvent, fact_from_columns
from .program import Checkpoint, Past

FORMAT = "django_durable history 1"

_COLUMNS = (("kind", str), ("name", str), ("source_seq", int), ("payload", str), ("data", str))


def dump(history: Iterable[HistoryEvent], checkpoint: Checkpoint | None = None) -> dict[str, Any]:
    """Return a history as JSON-ready data, with the checkpoint that stands at one of its events, where there is one."""
    data: dict[str, Any] = {"format": FORMAT, "events": [_row(event) for event in history]}
    if checkpoint is not None:
        data["checkpoint"] = {"seq": checkpoint.seq, "state": checkpoint.state}
    return data


def past_of(data: Mapping[str, Any]) -> Past:
    """Return what an execution is rebuilt from: the checkpoint of `data` and the events after it, or all events.

    Raises: ValueError: as `load`, or the checkpoint is none.
    """
    history, given = load(data), data.get("checkpoint")
    if given is None:
        return Past(history)
    match given:
        case {"seq": int(seq), "state": str(state)} if 1 <= seq <= len(history):
            return Past(history[seq:], Checkpoint(seq, state))
    raise ValueError("The checkpoint is none: expected a seq of the events, and a state as text.")


def load(data: Mapping[str, Any]) -> list[HistoryEvent]:
    """Rebuild a history from `dump`.

    Raises: ValueError: not such data, an unknown kind, or seqs with a gap. The text says which event.
    """
    if not isinstance(data, Mapping) or data.get("format") != FORMAT or not isinstance(data.get("events"), Sequence):
        raise ValueError(f"Expected an object with format {FORMAT!r} and a list of events.")
    history = []
    for place, row in enumerate(data["events"], start=1):
        try:
            fact = fact_from_columns(*(_column(row, *each) for each in _COLUMNS))
            event = HistoryEvent(int(row["seq"]), datetime.fromisoformat(row["recorded_at"]), fact)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"Event {place} is not one: {error}") from error
        if event.seq != place or event.recorded_at.tzinfo is None:
            raise ValueError(
                f"Event {place} has seq {event.seq} and time {event.recorded_at}, expected no gap and UTC."
            )
        history.append(event)
    return history


def _column(row: Mapping[str, Any], name: str, kind: type) -> Any:
    """Return what a row has for a column, which no database has checked. Raises: TypeError: it is of another type."""
    value = row.get(name)
    if value is not None and type(value) is not kind:
        raise TypeError(f"{name} is {value!r:.80}, expected {kind.__name__}")
    return value


def _row(event: HistoryEvent) -> dict[str, Any]:
    row = {"seq": event.seq, "recorded_at": event.recorded_at.isoformat(), **event.fact.columns()._asdict()}
    return {key: value for key, value in row.items() if value is not None}
