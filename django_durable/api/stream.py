"""An instance as server-sent events: the messages of the websocket, for projects without Channels.

As with the long poll, the view of Django REST framework is asked first. What it allows is then streamed without it, and
the rules are asked again while the stream is open. Where a server knows no streams that last (WSGI), the answer ends
with the first news and comes after `SHORT` at the latest: browsers then ask again, and go on where they were.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from ..conf import settings
from ..live import Listener, Message, Viewer, Wish
from ..store.connections import without_request_transaction
from .views.changes import MEDIA_TYPE, ChangesView, RequestViewer

SHORT = timedelta(seconds=5)
RETRY = b"retry: 1000\n\n"
HEADERS = {"Cache-Control": "no-cache, private", "X-Accel-Buffering": "no"}
"""The second keeps nginx from collecting the stream."""

QUIET = ("heartbeat", "unchanged")

_answer = ChangesView.as_view()


@without_request_transaction
async def changes(request: HttpRequest, instance_id: str) -> HttpResponseBase:
    """Stream what the caller may follow; or answer as the view does that checks it."""
    response: Any = await sync_to_async(_answer)(request, instance_id=instance_id)
    wish = getattr(response, "wish", None)
    if wish is None:
        return response
    viewer = RequestViewer(request)
    if isinstance(request, ASGIRequest):
        frames = _frames(viewer, wish)
        return StreamingHttpResponse(frames, content_type=MEDIA_TYPE, headers=HEADERS)
    return HttpResponse(await _news(viewer, wish), content_type=MEDIA_TYPE, headers=HEADERS)


async def _frames(viewer: Viewer, wish: Wish) -> AsyncIterator[bytes]:
    yield RETRY
    async with aclosing(_told(viewer, wish, settings.LIVE_MAX_STREAM)) as told:
        async for messages in told:
            yield b"".join(map(_frame, messages))


async def _news(viewer: Viewer, wish: Wish) -> bytes:
    """Return the frames up to the first that say something new."""
    collected = [RETRY]
    async with aclosing(_told(viewer, wish, min(SHORT, settings.LIVE_MAX_STREAM))) as told:
        async for messages in told:
            collected += map(_frame, messages)
            if any(message.type not in QUIET for message in messages):
                break
    return b"".join(collected)


async def _told(viewer: Viewer, wish: Wish, longest: timedelta) -> AsyncGenerator[list[Message], None]:
    """Yield messages until everything was told, or the time is over."""
    listener = Listener(viewer)
    ends = asyncio.get_running_loop().time() + longest.total_seconds()
    try:
        listener.subscribe(wish)
        while listener.watched:
            try:
                async with asyncio.timeout_at(ends):
                    messages = await listener.next()
            except TimeoutError:
                return
            yield messages
    finally:
        listener.close()


def _frame(message: Message) -> bytes:
    """Return a message as an event; what only says that the connection works is a comment."""
    if message.type in QUIET:
        return f": {message.type}\n\n".encode()
    position = getattr(message, "position", None)
    name = f"id: {position}\n" if position else ""
    return f"{name}data: {message.as_json()}\n\n".encode()


# What Django and drf-spectacular know of a class-based view.
changes.csrf_exempt = True  # type: ignore[attr-defined]  # the view itself checks, as every view of the framework
changes.cls = ChangesView  # type: ignore[attr-defined]
changes.initkwargs = {}  # type: ignore[attr-defined]
