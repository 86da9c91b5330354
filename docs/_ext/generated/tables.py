"""The tables, from the models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db.models import ForeignKey

from . import markdown


def listing() -> Iterator[str]:
    """Yield each table with its columns."""
    for model in apps.get_app_config("django_durable").get_models():
        yield f"**`{model._meta.db_table}`**: {markdown.first_paragraph(model)}"
        yield ""
        columns = [field for field in model._meta.concrete_fields if field.column]
        rows = [(f"`{each.column}`", kind(each), ", ".join(traits(each))) for each in columns]
        yield from markdown.grid(("column", "type", ""), rows)
        yield ""


def kind(field: Any) -> str:
    """Return what a column holds, in words that fit both databases."""
    if isinstance(field, ForeignKey):
        return f"`{field.related_model._meta.db_table}`"
    words = {
        "BigAutoField": "big integer, counted up",
        "CharField": f"text of up to {field.max_length}",
        "TextField": "text",
        "DateTimeField": "time",
        "BooleanField": "boolean",
        "IntegerField": "integer",
        "PositiveIntegerField": "integer",
        "PositiveBigIntegerField": "big integer",
    }
    return words[field.get_internal_type()]


def traits(field: Any) -> Iterator[str]:
    """Yield what else there is to know of a column."""
    if field.primary_key or {field.name, field.attname} & set(getattr(field.model._meta.pk, "field_names", ())):
        yield "key"
    elif field.unique:
        yield "unique"
    if field.null:
        yield "may be null"
    if field.help_text:
        yield str(field.help_text)
