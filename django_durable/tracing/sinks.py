"""Where spans go, by the setting, and how a start takes the trace context along."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from ..conf import NAME, settings

DATABASE, OPENTELEMETRY = "database", "opentelemetry"


def stores() -> bool:
    """Tell whether spans are kept beside the histories."""
    return DATABASE in settings.TRACING


def telemetry() -> ModuleType | None:
    """Return what talks to OpenTelemetry, None where the setting does not ask for it.

    Raises: ImproperlyConfigured: its API is not installed.
    """
    if OPENTELEMETRY not in settings.TRACING:
        return None
    try:
        from . import telemetry as module
    except ImportError as error:
        raise ImproperlyConfigured(
            f"{NAME}['TRACING'] names {OPENTELEMETRY!r}, and its API is not installed ({error}). Install "
            f"django-durable-workflows[opentelemetry], or remove it from the setting."
        ) from error
    return module


@contextmanager
def starting(orchestration: str, instance_id: str) -> Iterator[str | None]:
    """Trace a start within whatever span is current, and give the traceparent that the instance keeps."""
    if (found := telemetry()) is None:
        yield None
        return
    span: Any = found.begin(f"start {orchestration}", None, kind=found.PRODUCER, attributes=naming(instance_id))
    try:
        with found.current(span):
            yield found.traceparent_of(span)
    finally:
        span.end()


def naming(instance_id: str, **more: Any) -> dict[str, Any]:
    """Return attributes that say what a span is of."""
    return {"durable.instance_id": instance_id, **{f"durable.{name}": value for name, value in more.items()}}
