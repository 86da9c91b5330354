"""How the author's spans are written: their records, and which of them are open.

The span that a task is in is a variable of its context; see `contexts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from ..spans import Span, SpanRecord
from .parts import Kind, Loading, Saving

_STORED = tuple(each.name for each in fields(SpanRecord) if each.name != "handle")


class Spans:
    """What `span()` gives."""

    name = "span"

    def owns(self, part: Any) -> bool:
        return type(part) is Span

    def scalars(self, part: Span, saving: Saving) -> Sequence[Any]:
        return []

    def state(self, part: Span, saving: Saving) -> list[Any]:
        return [part._book is not None, part._record, part._around]

    def shell(self, scalars: Sequence[Any], loading: Loading) -> Span:
        return Span(None, None)

    def fill(self, part: Span, state: Any, loading: Loading) -> None:
        recorded, part._record, *around = state
        part._around = around[0] if around else None
        part._book = loading.program.spans if recorded else None


class Records:
    """Records of spans; what they are for whoever hands spans on is not kept."""

    name = "span record"

    def owns(self, part: Any) -> bool:
        return type(part) is SpanRecord

    def scalars(self, part: SpanRecord, saving: Saving) -> Sequence[Any]:
        return []

    def state(self, part: SpanRecord, saving: Saving) -> dict[str, Any]:
        return {name: getattr(part, name) for name in _STORED}

    def shell(self, scalars: Sequence[Any], loading: Loading) -> SpanRecord:
        return SpanRecord.__new__(SpanRecord)

    def fill(self, part: SpanRecord, state: Any, loading: Loading) -> None:
        for name in _STORED:
            setattr(part, name, state[name])
        part.handle = None


KINDS: tuple[Kind, ...] = (Spans(), Records())
