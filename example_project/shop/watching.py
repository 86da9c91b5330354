"""What rows of the shop look like while a workflow handles them."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import QuerySet

from django_durable import InstanceNotFound
from django_durable.client import InstanceFilter, InstanceSummary, OrchestrationStatus, client


def status_of(instance_id: str) -> OrchestrationStatus | None:
    """Return a workflow's status, or None where somebody deleted it."""
    try:
        return client.get_status(instance_id)
    except InstanceNotFound:
        return None


def with_status(rows: QuerySet[Any]) -> list[dict[str, Any]]:
    """Return each row with what its workflow says of itself, by one more query."""
    page = client.list_instances(InstanceFilter(instance_ids=[row.instance_id for row in rows]))
    instances = {each.instance_id: each for each in page.items}
    return [{"row": row, **described(instances.get(row.instance_id))} for row in rows]


def described(instance: InstanceSummary | None) -> dict[str, Any]:
    """Return a workflow's status for a list; one that somebody deleted has none."""
    if instance is None:
        return {"open": False}
    return {
        "open": instance.completed_at is None,
        "runtime_status": instance.runtime_status,
        "custom_status": json.loads(instance.custom_status or "null"),
    }
