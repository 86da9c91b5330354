"""Rows that a checkpoint refers to, read again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..engine.errors import CheckpointDamaged

if TYPE_CHECKING:
    from django.db.models import Model


async def aread_again(instances: Iterable[Model]) -> None:
    """Give instances that are references their fields. Raises: CheckpointDamaged: a row is gone."""
    for instance in instances:
        fields = [field.attname for field in instance._meta.concrete_fields]
        try:
            await instance.arefresh_from_db(fields=fields)
        except type(instance).DoesNotExist as error:  # type: ignore[attr-defined]
            row = f"{instance._meta.label} {instance.pk!r} of database {instance._state.db!r}"
            raise CheckpointDamaged(f"it refers to {row}, which is gone") from error
