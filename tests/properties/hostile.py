"""What reads stored data, given anything: only its typed errors may come out.

Used by hypothesis in the suite, and by atheris, which looks for what reaches code that nothing reached before, in
`make fuzz`.
"""

from __future__ import annotations

import enum
import json
import uuid
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypedDict

from django_durable import NondeterminismError, NotRegistered, PayloadError
from django_durable.codec import JsonCodec
from django_durable.engine import transcript
from django_durable.engine.events import HistoryEvent
from django_durable.engine.replay import Execution
from tests.conformance import asyncio_stories, orchestrations, step_stories  # noqa: F401 - registers the code
from tests.conformance.activities import registry


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2


class Point(NamedTuple):
    x: int
    y: float = 0.0


class Address(TypedDict, total=False):
    street: str
    number: int


@dataclass
class Order:
    id: uuid.UUID
    total: Decimal
    placed: datetime | None = None
    lines: list[Point] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


TYPES: tuple[Any, ...] = (
    Any, None, bool, int, float, str, bytes, date, time, datetime, timedelta, Decimal, uuid.UUID, Colour, Point,
    Address, Order, Literal["a", 1], int | None, int | str, list[int], set[str], frozenset[date], tuple[int, ...],
    tuple[int, str], dict[str, int], dict[int, Order], dict[date, Colour], list[Order | Address], dict[Colour, int],
    dict[Colour, list[Order | None]],
)  # fmt: skip

_codec = JsonCodec()


def decode(payload: str, type: Any) -> None:
    """Decode a payload. What comes back can be encoded again, and is then the same."""
    try:
        value = _codec.decode(payload, type)
    except PayloadError:
        return
    again = _codec.decode(_codec.encode(value), type)
    assert again == value or again != again, (payload, type, value, again)


def replay(text: str) -> None:
    """Import a history and replay it against the suite's orchestrations."""
    try:
        history = transcript.load(json.loads(text))
    except (ValueError, RecursionError):
        return
    assert transcript.load(transcript.dump(history)) == history
    replay_history(history)


def replay_history(history: list[HistoryEvent]) -> None:
    """Replay a history, and let the execution have another turn if it has not ended."""
    try:
        execution = Execution.replay(registry.environment, history)
        if not execution.finished and history:
            execution.advance([], now=history[-1].recorded_at)
        execution.close()
    except (NondeterminismError, NotRegistered, ValueError):
        return
