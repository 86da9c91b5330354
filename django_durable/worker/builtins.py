"""Activities that every worker has, behind verbs that read the database on an orchestration's behalf."""

from __future__ import annotations

from typing import Any

from ..engine.errors import InstanceNotFound, NotRegistered
from ..engine.keyvalueverbs import GET_KV_VALUE
from ..registry import Registry
from ..store import keyvalues
from .lookup import ActivityLookup, RunnableActivity


def lookup_in(registry: Registry, *, using: str) -> ActivityLookup:
    """Return the function that finds activities: those built in, then those of `registry`."""
    builtin = _builtins(using)

    def lookup(name: str) -> RunnableActivity | None:
        try:
            return builtin.get(name) or registry.get_activity(name)
        except NotRegistered:
            return None

    return lookup


def _builtins(using: str) -> dict[str, RunnableActivity]:
    own = Registry()

    @own.activity(GET_KV_VALUE)
    def get_kv_value(instance_id: str, key: str) -> Any:
        try:
            payload = keyvalues.key_value_of(instance_id, key, using=using).payload
        except InstanceNotFound:
            return None
        return None if payload is None else own.codec.decode(payload)

    return {GET_KV_VALUE: get_kv_value}
