"""The addresses, for `URLRouter([path("ws/", URLRouter(websocket_urlpatterns))])`."""

from __future__ import annotations

from django.urls import path, re_path

from .consumers import InstanceConsumer, InstancesConsumer

websocket_urlpatterns = [
    path("durable/", InstancesConsumer.as_asgi()),
    # Any text: the consumer reads what was encoded once or twice, as the addresses of the REST API are.
    re_path(r"^durable/instances/(?P<instance_id>.+)/$", InstanceConsumer.as_asgi()),
]
