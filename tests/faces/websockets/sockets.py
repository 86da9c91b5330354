"""A client of the sockets, in this process, and the application as a project would mount it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.testing import WebsocketCommunicator
from django.urls import path

from django_durable.websockets.routing import websocket_urlpatterns

PATIENCE = 30

application = ProtocolTypeRouter(
    {"websocket": AuthMiddlewareStack(URLRouter([path("ws/", URLRouter(websocket_urlpatterns))]))}
)


class Socket:
    """One connection; `told` is everything that came, as JSON values, `code` that of the close."""

    def __init__(self, application: Any, path: str, cookies: Mapping[str, str], session: Any) -> None:
        cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
        self._communicator = WebsocketCommunicator(application, path, headers=[(b"cookie", cookie.encode())])
        self.session = session
        self.told: list[dict[str, Any]] = []
        self.code: int | None = None

    async def connect(self) -> None:
        accepted, _ = await self._communicator.connect(timeout=PATIENCE)
        assert accepted

    async def send(self, message: Any) -> None:
        text = message if isinstance(message, str) else json.dumps(message)
        await self._communicator.send_input({"type": "websocket.receive", "text": text})

    async def send_bytes(self, data: bytes) -> None:
        await self._communicator.send_input({"type": "websocket.receive", "bytes": data})

    async def subscribe(self, instance_id: str, **wish: Any) -> None:
        await self.send({"type": "subscribe", "instance_id": instance_id, **wish})

    async def hear(self) -> dict[str, Any] | None:
        """Return the next message, None when the socket was closed instead."""
        output = await self._communicator.receive_output(PATIENCE)
        if output["type"] == "websocket.close":
            self.code = output.get("code", 1000)
            return None
        assert output["type"] == "websocket.send"
        self.told.append(json.loads(output["text"]))
        return self.told[-1]

    async def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            while True:
                message = await self.hear()
                assert message is not None, f"closed with {self.code} after {self.told}"
                if condition(message):
                    return message

    async def until_type(self, *types: str) -> dict[str, Any]:
        return await self.until(lambda message: message["type"] in types)

    async def until_closed(self) -> int:
        """Return the code of the close; what came before is in `told`."""
        while await self.hear() is not None:
            pass
        assert self.code is not None
        return self.code

    async def pong(self) -> None:
        """Ask whether the socket goes on."""
        await self.send({"type": "ping"})
        await self.until_type("pong")

    async def disconnect(self) -> None:
        """Go; a server that has closed is told, too."""
        await self._communicator.disconnect(timeout=PATIENCE)
