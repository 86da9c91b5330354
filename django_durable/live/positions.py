"""Where a listener is in the life of an instance: what it sends back to go on from there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from ..engine.arguments import checked_text
from ..engine.errors import InvalidArgument, LimitExceeded
from ..models.lengths import NAME_LENGTH

_NUMBER = r"(\d{1,19})"
_POSITION = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}\.{_NUMBER}(\.done)?((?:,[\w.~%-]+:\d{{1,19}})*)", re.ASCII)
LARGEST = 2**63 - 1
MOST_STREAMS = 10
"""Of one instance, followed by one subscription."""

_PLACE = re.compile(rf"{_NUMBER}\.{_NUMBER}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Position:
    """What a listener has been told of. As text it is opaque to clients.

    Attributes:
        id: Surrogate id: an instance that was deleted and started again counts its revisions from one.
        execution, seq: Of the last event of the history; zeros before any.
        done: Whether it has been told of the end.
        streams: Names of streams, and how far it has been told of each.
    """

    id: int
    revision: int
    execution: int = 0
    seq: int = 0
    done: bool = False
    streams: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        streams = "".join(f",{quote(name, safe='')}:{place}" for name, place in self.streams)
        return f"{self.id}.{self.revision}.{self.execution}.{self.seq}{'.done' if self.done else ''}{streams}"


def position_from_text(text: object) -> Position:
    """Read the `position` of a message. Raises: InvalidArgument: it is none."""
    found = _POSITION.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise InvalidArgument(f"since is {text!r:.80}, expected the position of an earlier message.")
    id, revision, execution, seq, done, streams = found.groups()
    places = [each.split(":") for each in streams.split(",")[1:]]
    told = tuple((unquote(name), min(int(place), LARGEST)) for name, place in places)
    return Position(int(id), int(revision), int(execution), int(seq), done is not None, told)


def streams_from_value(value: object) -> dict[str, int | None]:
    """Read which streams are followed, and after which position each: a JSON object, null from the first item kept.

    Raises: InvalidArgument, LimitExceeded.
    """
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"streams is {value!r:.80}, expected an object of names and positions or null.")
    if len(value) > MOST_STREAMS:
        raise LimitExceeded("The number of streams followed of one instance", len(value), MOST_STREAMS)
    for name, after in value.items():
        checked_text(name, "stream name", NAME_LENGTH)
        if after is not None and (type(after) is not int or not 0 <= after <= LARGEST):
            raise InvalidArgument(f"The position in stream {name!r:.80} is {after!r:.80}, expected an item's or null.")
    return dict(value)


def place_from_text(text: object) -> tuple[int, int]:
    """Read execution and seq of an event. Raises: InvalidArgument: the text is not like `"1.31"`."""
    found = _PLACE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise InvalidArgument(f"after is {text!r:.80}, expected execution and seq of an event, for example '1.31'.")
    return int(found[1]), int(found[2])
