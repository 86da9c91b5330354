"""Where one can go from the address under which the API is included."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from ...permissions import DurablePermissions, current_permissions
from .base import DurableView
from .instances import InstancesView
from .promises import RequestsView
from .system import MetricsView, OrchestrationsView, WorkersView

LISTS: dict[str, tuple[str, type[DurableView]]] = {
    "instances": ("instance-list", InstancesView),
    "requests": ("request-list", RequestsView),
    "orchestrations": ("orchestration-list", OrchestrationsView),
    "workers": ("worker-list", WorkersView),
    "metrics": ("metrics", MetricsView),
}


class IndexView(DurableView):
    """The lists of this API that you may see."""

    name = "Durable workflows"
    schema = None  # It describes nothing but the others, as the roots of Django REST framework.

    def admits(self, rules: DurablePermissions, user: Any) -> bool:
        return bool(self._seen(rules, user))

    def get(self, request: Request) -> Response:
        seen = self._seen(current_permissions(), request.user)
        # Whole addresses are links in the browsable API, paths are not.
        return Response({each: request.build_absolute_uri(self.path_of(LISTS[each][0])) for each in seen})

    def _seen(self, rules: DurablePermissions, user: Any) -> list[str]:
        return [each for each, (_, view) in LISTS.items() if view(request=self.request).admits(rules, user)]
