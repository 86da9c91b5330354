"""Where a listener is in the life of an instance: what it sends back to go on from there."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..engine.errors import InvalidArgument

_NUMBER = r"(\d{1,19})"
_POSITION = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}\.{_NUMBER}(\.done)?", re.ASCII)
_PLACE = re.compile(rf"{_NUMBER}\.{_NUMBER}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Position:
    """What a listener has been told of. As text it is opaque to clients.

    Attributes:
        id: Surrogate id: an instance that was deleted and started again counts its revisions from one.
        execution, seq: Of the last event of the history; zeros before any.
        done: Whether it has been told of the end.
    """

    id: int
    revision: int
    execution: int = 0
    seq: int = 0
    done: bool = False

    def __str__(self) -> str:
        return f"{self.id}.{self.revision}.{self.execution}.{self.seq}{'.done' if self.done else ''}"


def position_from_text(text: object) -> Position:
    """Read the `position` of a message. Raises: InvalidArgument: it is none."""
    found = _POSITION.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise InvalidArgument(f"since is {text!r:.80}, expected the position of an earlier message.")
    id, revision, execution, seq, done = found.groups()
    return Position(int(id), int(revision), int(execution), int(seq), done is not None)


def place_from_text(text: object) -> tuple[int, int]:
    """Read execution and seq of an event. Raises: InvalidArgument: the text is not like `"1.31"`."""
    found = _PLACE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise InvalidArgument(f"after is {text!r:.80}, expected execution and seq of an event, for example '1.31'.")
    return int(found[1]), int(found[2])
