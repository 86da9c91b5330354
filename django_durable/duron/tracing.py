"""Tracing by Duron's names. Where spans go is the setting `DJANGO_DURABLE["TRACING"]`."""

from __future__ import annotations

from ..tracing import NULL_SPAN, Span, setup_tracing, span

__all__ = ["NULL_SPAN", "Span", "Tracer", "setup_tracing", "span"]


class Tracer:
    """Asks for tracing. In a script without Django settings spans go to the database; elsewhere the setting says."""

    def __init__(self, trace_id: str, /, *, run_id: str | None = None) -> None:
        self.trace_id = trace_id
        self.run_id = run_id
