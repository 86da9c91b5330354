"""What an author traces: `with span("packing"):` in orchestrations and activities, and log records on the spans.

Where the spans go is the setting `DJANGO_DURABLE["TRACING"]`; where they go nowhere, nothing is recorded. A replay
records nothing anew.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ..engine.spans import NULL_SPAN, Span, current_book, current_span

__all__ = ["NULL_SPAN", "Span", "current_span", "setup_tracing", "span"]

_OWN = frozenset({"django_durable.orchestration", "django_durable.activity"})
"""Loggers whose messages are on the spans already, whatever their level: `ctx.logger` puts them there."""


def span(name: str, attributes: Mapping[str, Any] | None = None, /, **more: Any) -> Span:
    """Open a span within the one that the code is in; use it in a `with` statement.

    `with span("packing", order=7) as packing:` in the code of an orchestration or an activity. Its time in an
    orchestration is that of the history. Where nothing is traced, and elsewhere, it is `NULL_SPAN`.
    """
    book = current_book()
    return NULL_SPAN if book is None else book.open(name, {**(attributes or {}), **more})


class SpanHandler(logging.Handler):
    """Puts log records of orchestrations and activities on the spans that their code is in."""

    def emit(self, record: logging.LogRecord) -> None:
        book = current_book()
        if book is not None and record.name not in _OWN:
            book.log(record.levelname, record.getMessage(), logger=record.name)


def setup_tracing(level: int = logging.INFO, *, logger: logging.Logger | None = None) -> SpanHandler:
    """Have log records of a logger, by default of all, put on spans; called again, it changes nothing.

    What `ctx.logger` logs is on them without this.
    """
    target = logger or logging.getLogger()
    for known in target.handlers:
        if isinstance(known, SpanHandler):
            return known
    handler = SpanHandler(level)
    target.addHandler(handler)
    if target.level == logging.NOTSET or target.level > level:
        target.setLevel(level)
    return handler
