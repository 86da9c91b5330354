"""The ASGI application: pages and REST over HTTP, and websockets that follow workflows."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
http = get_asgi_application()  # Sets Django up, which what follows needs.

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from django.urls import path  # noqa: E402

from django_durable.websockets.routing import websocket_urlpatterns  # noqa: E402

websockets = URLRouter([path("ws/", URLRouter(websocket_urlpatterns))])
application = ProtocolTypeRouter(
    {"http": http, "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(websockets))}
)
