"""The state of a `random.Random` as JSON-ready data: 2,500 bytes, as text a third more."""

from __future__ import annotations

import base64
import struct
from random import Random
from typing import Any

_WORDS = struct.Struct("<625I")


def standing(source: Random) -> list[Any]:
    """Return the state of a source of random numbers."""
    version, words, next_gauss = source.getstate()
    return [version, base64.b64encode(_WORDS.pack(*words)).decode(), next_gauss]


def stand(source: Random, state: list[Any]) -> None:
    """Go on from `standing`."""
    version, words, next_gauss = state
    source.setstate((version, _WORDS.unpack(base64.b64decode(words)), next_gauss))
