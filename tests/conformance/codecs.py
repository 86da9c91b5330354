"""Codecs for tests: one that never writes the same twice, and one that other processes cannot read."""

from __future__ import annotations

import base64
import itertools
from typing import Any

_counter = itertools.count()


class Turned:
    """Text backwards behind a number that is another one every time."""

    def encode(self, text: str) -> dict[str, Any]:
        return {"n": next(_counter), "text": base64.b64encode(text.encode()).decode()[::-1]}

    def decode(self, data: dict[str, Any]) -> str:
        return base64.b64decode(data["text"][::-1]).decode()


class Broken:
    """Fails whatever it is asked for."""

    def encode(self, text: str) -> Any:
        raise RuntimeError("no key")

    def decode(self, data: Any) -> str:
        raise RuntimeError("no key")
