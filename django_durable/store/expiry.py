"""Activity tasks that ran out of their total time while nobody was running them."""

from __future__ import annotations

import json
from datetime import datetime

from django.db.models import Q

from ..models import ActivityTask
from .records import ClaimedTask, TaskKey


def find_expired(now: datetime, *, limit: int, using: str) -> list[ClaimedTask]:
    """Return tasks whose total time is over and that no worker holds, for example because none serves their tag.

    Nothing is leased: record their failure with `finish_activities`, which refuses those that were claimed meanwhile.
    """
    free = Q(lease_owner__isnull=True) | Q(visible_at__lte=now)
    rows = ActivityTask.objects.using(using).filter(free, expires_at__lte=now).select_related("instance")
    return [_record(row) for row in rows.order_by("expires_at")[:limit]]


def _record(row: ActivityTask) -> ClaimedTask:
    return ClaimedTask(
        key=TaskKey(row.instance_id, row.execution_number, row.seq),
        instance_id=row.instance.instance_id,
        orchestration=row.instance.orchestration,
        version=row.instance.version,
        name=row.name,
        input=row.input,
        tag=row.tag or None,
        session_id=row.session_id or None,
        attempt=row.attempt,
        deliveries=row.deliveries,
        retry=None,
        start_to_close_ms=row.start_to_close_ms,
        expires_at=row.expires_at,
        failures=json.loads(row.failures) if row.failures else [],
        heartbeat=row.heartbeat,
        lease_token=row.lease_token,
        created_at=row.created_at,
    )
