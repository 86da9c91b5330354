"""The application as the documentation mounts it."""

from __future__ import annotations

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application
from django.urls import path

http = get_asgi_application()  # First: it sets Django up.

from django_durable.websockets.routing import websocket_urlpatterns  # noqa: E402

from . import statements as statements  # noqa: E402 - it counts from the first connection on

application = ProtocolTypeRouter(
    {
        "http": ASGIStaticFilesHandler(http),
        "websocket": AllowedHostsOriginValidator(
            AuthMiddlewareStack(URLRouter([path("ws/", URLRouter(websocket_urlpatterns))]))
        ),
    }
)
