"""The two sockets: one that watches one instance, and one on which a client subscribes to many.

A socket is accepted before anything is refused, because a browser cannot read why a handshake failed; the code of the
close says it.
"""

from __future__ import annotations

import asyncio
from enum import IntEnum
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

from ..conf import settings
from ..engine.errors import LimitExceeded
from ..live import Listener, Message, Problem, SessionViewer, Signal
from .pace import Pace
from .requests import Malformed, Ping, Request, Subscribe, Unsubscribe, request_from_frame, wish_of_address

GONE: tuple[type[Exception], ...] = (OSError,)
"""What a server raises for a message to a client that is gone, before it tells so: the specification of ASGI says
OSError, and daphne lets through what its protocol raises."""
try:
    from autobahn.exception import Disconnected
except ImportError:
    pass
else:
    GONE += (Disconnected,)


class Close(IntEnum):
    """Why a socket was closed: 4000 and the status that HTTP has for it."""

    DONE = 1000
    MALFORMED = 4400
    NOT_AUTHENTICATED = 4401
    PERMISSION_DENIED = 4403
    NOT_FOUND = 4404
    TOO_FAST = 4429
    FAILED = 4500


REFUSED = {
    "not_authenticated": Close.NOT_AUTHENTICATED,
    "permission_denied": Close.PERMISSION_DENIED,
    "not_found": Close.NOT_FOUND,
}


class Socket(AsyncWebsocketConsumer):
    """What both have in common: messages go out as they come from a listener, frames come in at a bounded pace."""

    _listener: Listener | None = None
    _pump: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._let_go()

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        rate = settings.LIVE_MAX_MESSAGES_PER_SECOND
        # Whoever connects again subscribes to everything at once.
        self._pace = Pace(rate, rate + settings.LIVE_MAX_SUBSCRIPTIONS, loop.time())
        self._listener = Listener(SessionViewer(self.scope.get("user"), self.scope.get("session")))
        await self.accept()
        self._pump = loop.create_task(self._send_on(self._listener))

    async def disconnect(self, code: int) -> None:
        self._let_go()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self._listener is None:
            return  # It is being closed.
        if not self._pace.allows(asyncio.get_running_loop().time()):
            limit = settings.LIVE_MAX_MESSAGES_PER_SECOND
            await self.refuse("too_fast", f"More than {limit} messages per second came in. Send fewer.")
            return await self.close(Close.TOO_FAST)
        try:
            await self.answer(request_from_frame(text_data))
        except Malformed as error:
            await self.refuse(error.code, str(error))

    async def answer(self, request: Request) -> None:
        """Do what a client asks for."""
        raise NotImplementedError

    def close_after(self, message: Message) -> Close | None:
        """Return with which code to close once a message is sent, None to go on."""
        raise NotImplementedError

    async def say(self, message: Message) -> None:
        """Send a message; a client that is gone gets nothing more, and that is no error."""
        try:
            await self.send(text_data=message.as_json())
        except GONE:
            self._let_go()

    async def refuse(self, code: str, detail: str) -> None:
        await self.say(Problem(code=code, detail=detail))

    async def close(self, code: int | None = None, reason: str | None = None) -> None:
        self._let_go()
        # Servers take plain numbers only.
        await super().close(None if code is None else int(code), reason)

    async def _send_on(self, listener: Listener) -> None:
        code = Close.FAILED
        try:
            while self._listener is not None:
                for message in await listener.next():
                    await self.say(message)
                    if (found := self.close_after(message)) is not None:
                        code = found
                        return
        finally:
            if self._listener is not None:
                await self.close(code)

    def _let_go(self) -> None:
        """Watch nothing more, and send nothing more."""
        listener, self._listener = self._listener, None
        pump, self._pump = self._pump, None
        if listener is not None:
            listener.close()
        if pump is not None and pump is not asyncio.current_task():
            pump.cancel()


class InstanceConsumer(Socket):
    """One instance, from its snapshot until it is done. The address says which, and what a client may wish besides."""

    async def connect(self) -> None:
        await super().connect()
        assert self._listener is not None
        try:
            wish = wish_of_address(self.scope["url_route"]["kwargs"]["instance_id"], self.scope["query_string"])
        except Malformed as error:
            await self.refuse(error.code, str(error))
            return await self.close(Close.MALFORMED)
        self._listener.subscribe(wish)

    async def answer(self, request: Request) -> None:
        if not isinstance(request, Ping):
            raise Malformed("bad_message", "This socket watches one instance, expected nothing but pings.")
        await self.say(Signal(type="pong"))

    def close_after(self, message: Message) -> Close | None:
        match message.type:
            case "done":
                return Close.DONE
            case "gone":
                return Close.NOT_FOUND
            case "error" if isinstance(message, Problem):
                return REFUSED[message.code]
        return None


class InstancesConsumer(Socket):
    """Any number of instances, as a client subscribes and unsubscribes."""

    async def answer(self, request: Request) -> None:
        assert self._listener is not None
        match request:
            case Subscribe(wish):
                try:
                    self._listener.subscribe(wish)
                except LimitExceeded as error:
                    problem = Problem(code="too_many", detail=str(error), instance_id=wish.instance_id)
                    await self.say(problem)
            case Unsubscribe(instance_id):
                self._listener.unsubscribe(instance_id)
            case Ping():
                await self.say(Signal(type="pong"))

    def close_after(self, message: Message) -> Close | None:
        # Nobody is logged in, and nothing is shown to everybody: there is nothing that this socket could be for.
        useless = self._listener is not None and not self._listener.watched
        if isinstance(message, Problem) and message.code == "not_authenticated" and useless:
            return Close.NOT_AUTHENTICATED
        return None
