"""What is read of the KV entries of an instance, as last committed. Each read is one query."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connections

from .. import models
from ..engine.errors import InstanceNotFound
from ..engine.events import Payload
from ..engine.states import RuntimeStatus
from . import sql


@dataclass(frozen=True, slots=True)
class KeyValueReading:
    """A KV entry as it was found, `payload` None where there is none, and whether one may still be written."""

    id: int
    runtime_status: RuntimeStatus
    payload: Payload | None


def key_value_of(instance_id: str, key: str, *, using: str) -> KeyValueReading:
    """Read one KV entry, as last committed, by one query.

    Raises: InstanceNotFound.
    """
    found = sql.fetch(
        connections[using],
        f"""
        SELECT i.id, i.runtime_status, v.value FROM {sql.table(models.Instance)} i
        LEFT JOIN {sql.table(models.KeyValue)} v ON v.instance_id = i.id AND v.key = %s
        WHERE i.instance_id = %s
        """,
        [key, instance_id],
    )
    if not found:
        raise InstanceNotFound(instance_id)
    id, status, payload = found[0]
    return KeyValueReading(id, RuntimeStatus(status), payload)


def key_values_of(instance_id: str, *, using: str) -> dict[str, Payload]:
    """Read all KV entries, as last committed and sorted by key, by one query.

    Raises: InstanceNotFound.
    """
    rows = list(
        models.Instance.objects.using(using)
        .filter(instance_id=instance_id)
        .values_list("key_values__key", "key_values__value")
    )
    if not rows:
        raise InstanceNotFound(instance_id)
    return {key: value for key, value in sorted(rows, key=lambda row: row[0] or "") if key is not None}
