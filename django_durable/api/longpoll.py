"""The status as an async view: a long poll holds no thread and no transaction while nothing happens.

Django REST framework is synchronous, so the view is asked twice: before the wait, which checks who asks for what, and
after it, which checks again and answers.
"""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponseBase

from ..engine.errors import InstanceNotFound, WaitInsideTransaction
from ..store.connections import without_request_transaction
from .views.status import StatusView

_answer = StatusView.as_view()


@without_request_transaction
async def status(request: HttpRequest, instance_id: str) -> HttpResponseBase:
    """Answer at once, or when the revision is another than the one that the caller has seen, or its time is over."""
    response: Any = await sync_to_async(_answer)(request, instance_id=instance_id)
    poll = getattr(response, "long_poll", None)
    if poll is None:
        return response
    try:
        await StatusView.client.await_for_revision(instance_id, poll.revision, poll.timeout)
    except InstanceNotFound:
        pass  # Deleted meanwhile: the second look says so.
    except WaitInsideTransaction:
        # In a test case that wraps everything in a transaction, nothing that happens could be seen.
        return response
    return await sync_to_async(_answer)(request, instance_id=instance_id, waited=True)


# What Django and drf-spectacular know of a class-based view.
status.csrf_exempt = True  # type: ignore[attr-defined]  # the view itself checks, as every view of the framework
status.cls = StatusView  # type: ignore[attr-defined]
status.initkwargs = {}  # type: ignore[attr-defined]
