"""How checkpoints keep saved model instances: as references, since their fields would be stale when the code goes on.

What comes back has its primary key; every other field is read from the database when it is asked for.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps

from ..engine.checkpoint import Hook


def is_saved(value: object) -> bool:
    """Tell whether this is a model instance that stands in a database."""
    if not hasattr(type(value), "_meta"):
        return False
    state = getattr(value, "_state", None)
    return not getattr(state, "adding", True) and getattr(state, "db", None) is not None


def written(instance: Any) -> list[Any]:
    """Return the model, the alias of the database, and the primary key."""
    return [instance._meta.label, instance._state.db, instance.pk]


def read(reference: list[Any]) -> Any:
    """Return an instance that has its primary key only; nothing is asked of the database.

    Raises: LookupError: there is no such model.
    """
    label, alias, pk = reference
    model = apps.get_model(label)
    assert model._meta.pk is not None
    return model.from_db(alias, [model._meta.pk.attname], [pk])


MODEL_INSTANCES = Hook("model", is_saved, written, read)
