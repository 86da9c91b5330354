"""Workers and sessions in the admin: as they last said themselves, read-only."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..client.viewing import client
from ..models import Session, Worker
from . import overview, text
from .changelist import OwnFilters


class ReadOnlyAdmin(OwnFilters, admin.ModelAdmin):
    """A model that is only looked at."""

    show_facets = admin.ShowFacets.NEVER
    actions = None

    class Media:
        css = {"all": ["django_durable/admin.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).using(client.using)


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("state", "worker_id", "process", "serves", "concurrency", "heartbeat", "started")
    list_display_links = ("worker_id",)
    ordering = ("worker_id",)
    search_fields = ("worker_id", "host")
    fields = ("worker_id", "state", "process", "serves", "concurrency", "heartbeat", "started", "numbers")
    readonly_fields = fields

    @admin.display(description=_("State"))
    def state(self, worker: Worker) -> str:
        return overview.health_of(worker, timezone.now())

    @admin.display(description=_("Host and process"))
    def process(self, worker: Worker) -> str:
        return f"{worker.host}:{worker.pid}"

    @admin.display(description=_("Serves"))
    def serves(self, worker: Worker) -> str:
        return overview.served_by(worker)

    @admin.display(description=_("Last heartbeat"), ordering="heartbeat_at")
    def heartbeat(self, worker: Worker) -> str:
        return text.moment(worker.heartbeat_at, text=text.ago(worker.heartbeat_at, timezone.now()))

    @admin.display(description=_("Started"), ordering="started_at")
    def started(self, worker: Worker) -> str:
        return text.moment(worker.started_at, text=text.ago(worker.started_at, timezone.now()))

    @admin.display(description=_("Numbers"))
    def numbers(self, worker: Worker) -> str:
        found = json.loads(worker.metrics or "{}")
        return text.counts(found) if isinstance(found, dict) and found else text.NOTHING


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin):
    list_display = ("state", "session_id", "worker_id", "lease", "last_activity")
    list_display_links = None
    ordering = ("session_id",)
    search_fields = ("session_id", "worker_id")

    @admin.display(description=_("State"))
    def state(self, session: Session) -> str:
        if session.lease_until < timezone.now():
            return text.mark("suspended", "❙❙", _("Free"))
        return text.mark("completed", "✓", _("Owned"))

    @admin.display(description=_("Lease"), ordering="lease_until")
    def lease(self, session: Session) -> str:
        return text.moment(session.lease_until, text=text.ago(session.lease_until, timezone.now()))

    @admin.display(description=_("Last activity"), ordering="last_activity_at")
    def last_activity(self, session: Session) -> str:
        return text.moment(session.last_activity_at, text=text.ago(session.last_activity_at, timezone.now()))
