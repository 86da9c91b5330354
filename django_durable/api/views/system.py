"""The system: what can be started, who works, how much there is, and whether it answers."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from ...permissions import DurablePermissions, Right, current_permissions
from .. import prometheus, shapes
from ..schemas import described
from .base import DurableView


class OrchestrationsView(DurableView):
    """What can be started here, with the JSON Schema of its input."""

    def admits(self, rules: DurablePermissions, user: Any) -> bool:
        return any(rules.can_start(user, name) for name in self.client.registry.names)

    @described("orchestrations_list", "List what can be started", {200: shapes.Orchestrations})
    def get(self, request: Request) -> Response:
        rules, registry = current_permissions(), self.client.registry
        rows = [
            {
                "name": each.name,
                "version": each.version,
                "latest": each is registry.get_orchestration(each.name),
                "description": each.doc,
                "input_schema": each.input_schema(),
                "output_schema": each.output_schema(),
            }
            for each in registry.orchestrations()
            if rules.can_start(request.user, each.name)
        ]
        return Response({"results": rows})


class WorkersView(DurableView):
    """The workers as of their last heartbeats."""

    def admits(self, rules: DurablePermissions, user: Any) -> bool:
        return rules.can_view_system(user, Right.VIEW_WORKERS)

    @described("workers_list", "List the workers", {200: shapes.Workers})
    def get(self, request: Request) -> Response:
        return Response({"results": [self.shown(shapes.WorkerShape, each) for each in self.client.list_workers()]})


class MetricsView(DurableView):
    """How many instances there are, and how much waits."""

    def admits(self, rules: DurablePermissions, user: Any) -> bool:
        return rules.can_view_system(user, Right.VIEW_METRICS)

    def measured(self) -> dict[str, Any]:
        """Return what both formats show."""
        return {
            "system": self.client.get_system_metrics(),
            "queues": self.client.get_queue_depths(),
            "workers": len(self.client.list_workers()),
        }

    @described("metrics", "Measure the system", {200: shapes.Metrics})
    def get(self, request: Request) -> Response:
        return Response(self.shown(shapes.Metrics, self.measured()))


class PrometheusView(MetricsView):
    """The same in the text format of Prometheus."""

    @described("metrics_prometheus", "Measure the system, for Prometheus", {(200, "text/plain"): OpenApiTypes.STR})
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(prometheus.text(**self.measured()), content_type=prometheus.CONTENT_TYPE)


class LiveView(DurableView):
    """Whether the process answers. Open to everybody, and says nothing else."""

    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]
    throttle_classes: list[Any] = []

    @described("health_live", "See whether the process answers", {200: shapes.Health}, is_open=True)
    def get(self, request: Request) -> Response:
        return Response({"ok": True})


class ReadyView(LiveView):
    """Whether the database answers, too: 503 where it does not."""

    @described(
        "health_ready",
        "See whether the database answers",
        {200: shapes.Health, 503: shapes.Health},
        is_open=True,
    )
    def get(self, request: Request) -> Response:
        ok = self.client.is_reachable()
        return Response({"ok": ok}, status=200 if ok else 503)
