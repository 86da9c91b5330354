"""What can be waited for, as async views: a long poll holds no thread and no transaction while nothing happens.

Django REST framework is synchronous, so a view is asked twice: before the wait, which checks who asks for what, and
after it, which checks again and answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponseBase

from ..engine.errors import InstanceNotFound, StreamTrimmed, WaitInsideTransaction
from ..store.connections import without_request_transaction
from .views.base import DurableView
from .views.status import LongPoll, StatusView
from .views.streams import ItemsPoll, ItemsView


def _polled(view: type[DurableView], wait: Callable[..., Awaitable[object]]) -> Callable[..., Any]:
    """Make the async view of one whose answers may say what to wait for, as `long_poll`."""
    answer = view.as_view()

    @without_request_transaction
    async def polled(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        response: Any = await sync_to_async(answer)(request, **kwargs)
        poll = getattr(response, "long_poll", None)
        if poll is None:
            return response
        try:
            await wait(poll, **kwargs)
        except (InstanceNotFound, StreamTrimmed):
            pass  # Deleted meanwhile: the second look says so.
        except WaitInsideTransaction:
            # In a test case that wraps everything in a transaction, nothing that happens could be seen.
            return response
        return await sync_to_async(answer)(request, **kwargs, waited=True)

    # What Django and drf-spectacular know of a class-based view.
    polled.csrf_exempt = True  # type: ignore[attr-defined]  # the view itself checks, as every view of the framework
    polled.cls = view  # type: ignore[attr-defined]
    polled.initkwargs = {}  # type: ignore[attr-defined]
    return polled


async def _other_revision(poll: LongPoll, instance_id: str) -> None:
    await StatusView.client.await_for_revision(instance_id, poll.revision, poll.timeout)


async def _next_item(poll: ItemsPoll, instance_id: str, stream: str) -> None:
    await ItemsView.client.aread_stream_record(instance_id, stream, after=poll.after, limit=1, timeout=poll.timeout)


status = _polled(StatusView, _other_revision)
"""Answers at once, or when the revision is another than the one that the caller has seen, or its time is over."""

stream_items = _polled(ItemsView, _next_item)
"""Answers at once, or when the stream has an item or its end, or the time is over."""
