"""Values to JSON text and back, by type hints.

The text is deterministic: keys, fields and sets are sorted, so equal values have equal payloads, and a replay can
compare text.
What JSON has no word for is written as text (dates, Decimal, UUID, bytes as base64) and comes back as what the hint
says; without a hint it stays text, tuples and sets come back as lists, and keys that are not strings as strings.

Nothing is encoded by guessing: NaN and infinity, which JSON cannot hold, model instances, whose fields would be stale
by the time they are read, and values of unknown classes are refused with the place they stand at.

`binding` says how the arguments of a call are one payload, `named` how a project has payloads stored in its own way.
"""

from __future__ import annotations

from .binding import Arguments, Binding
from .json import JsonCodec
from .named import PayloadCodec

__all__ = ["Arguments", "Binding", "JsonCodec", "PayloadCodec"]
