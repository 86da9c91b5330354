"""What the overview shows: how many instances there are, what waits, and what needs looking after."""

from __future__ import annotations

import json
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from ..client import WorkerRecord
from ..client.viewing import client
from ..conf import settings
from ..engine.arguments import UNTAGGED
from ..store.overview import COUNTED
from . import text

REFRESH_SECONDS = 10
MISSED_BEATS = 2
"""Leases without a heartbeat after which a worker counts as silent."""


def page_of(*, workers: bool) -> dict[str, Any]:
    """Return the context of the overview; with the workers, where whoever looks may see them."""
    found = client.get_overview()
    depths = client.get_queue_depths()
    now = timezone.now()
    return {
        "statuses": [
            (status.value, text.pill(status), text.number(count), count >= COUNTED)
            for status, count in found.by_status.items()
        ],
        "ended": [(text.pill(status), count) for status, count in found.ended.items()],
        "ended_total": sum(found.ended.values()),
        "failed": found.failed,
        "expired_instances": found.expired_instance_leases,
        "expired_tasks": found.expired_task_leases,
        "oldest": [
            (each.tag or UNTAGGED, each.waiting, text.moment(each.since, text=text.duration(now - each.since)))
            for each in found.oldest_tasks
        ],
        "queues": [
            (_("Messages ready for a turn"), depths.orchestrator_queue),
            (_("Timers and delayed starts"), depths.timer_queue),
            (_("Messages held by suspended or blocked instances"), depths.held_messages),
            (_("Activities ready for a worker"), depths.worker_queue),
            (_("Activities that run"), depths.running_activities),
            (_("Activities that wait for their next attempt"), depths.delayed_activities),
        ],
        "workers": [(each, health_of(each, now)) for each in client.list_workers()] if workers else None,
        "refresh": REFRESH_SECONDS,
    }


def health_of(worker: Any, now: Any) -> Any:
    """Return a worker's state as a pill: it takes work, takes no more, or has not been heard of."""
    if now - worker.heartbeat_at > settings.LEASE * MISSED_BEATS:
        return text.mark("blocked", "!", _("Silent"))
    if worker.stopping:
        return text.mark("suspended", "❙❙", _("Stopping"))
    return text.mark("completed", "✓", _("Alive"))


def served_by(worker: WorkerRecord | Any) -> str:
    """Return which activities a worker serves, in words; tags as `durable_worker --tags` takes them."""
    found = json.loads(worker.tags or "{}")
    if found.get("any"):
        return _("everything")
    names = [str(each) for each in found.get("tags", ())]
    if found.get("untagged"):
        names.insert(0, UNTAGGED)
    return ", ".join(names) or _("no activities")
