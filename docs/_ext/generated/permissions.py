"""The rights and the model permissions behind them."""

from __future__ import annotations

from collections.abc import Iterator

from django.contrib.auth.management import _get_all_permissions

from django_durable.models import Instance, Promise, Stream, Worker
from django_durable.permissions import Right

from . import markdown


def table() -> Iterator[str]:
    """Yield each right. Raises: KeyError: one whose permission no model has."""
    labels = {
        name: label
        for model in (Instance, Promise, Stream, Worker)
        for name, label in _get_all_permissions(model._meta)
    }
    rows = ((f"`Right.{each.name}`", f"`django_durable.{each.codename}`", str(labels[each.codename])) for each in Right)
    yield from markdown.grid(("right", "permission", "as the admin shows it"), rows)
