"""Who may follow an instance, and from where. What is sent then is not this framework's: see `stream`."""

from __future__ import annotations

import copy
import json
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import exceptions
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from ...live import SessionViewer, Wish, place_from_text, position_from_text, streams_from_value
from ...permissions import Right, current_permissions
from .. import requests
from ..schemas import INSTANCE, described
from .base import DurableView

MEDIA_TYPE = "text/event-stream"


class EventStreamRenderer(BaseRenderer):
    """Makes the media type one that is offered. It renders nothing: errors are JSON, and the rest is streamed."""

    media_type = MEDIA_TYPE
    format = "event-stream"
    charset = "utf-8"

    def render(self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None) -> bytes:
        return b""


class ChangesView(DurableView):
    """An instance from its snapshot through every change to its end, as server-sent events."""

    renderer_classes = [EventStreamRenderer, JSONRenderer]

    @described(
        "instances_changes",
        "Follow an instance",
        {
            (200, MEDIA_TYPE): OpenApiTypes.STR,
            204: OpenApiResponse(description="The instance has ended, and the caller knows it: do not connect again."),
        },
        path=[INSTANCE],
        query=requests.ChangesQuery,
        headers=[
            OpenApiParameter(
                "Last-Event-ID",
                OpenApiTypes.STR,
                OpenApiParameter.HEADER,
                description="Where to go on, instead of `since`; sent by browsers that connect again.",
            )
        ],
    )
    def get(self, request: Request, instance_id: str) -> Response:
        given = self.query(requests.ChangesQuery)
        record = self.status_for(instance_id)
        if given["history"]:
            self.checked(record, Right.INSPECT)
        if given["kv"]:
            self.checked(record, Right.VIEW_PAYLOAD)
        streams = _streams(given.get("streams"))
        for name in streams:
            self.granted(record, current_permissions().allows_reading(request.user, record, name))
        text, after = request.headers.get("Last-Event-ID") or given.get("since"), given.get("after")
        since = position_from_text(text) if text else None
        knows = since is not None and since.done and (since.id, since.revision) == (record.id, record.revision)
        if since is not None and knows and streams.keys() <= dict(since.streams).keys():
            return Response(status=204)
        answer = Response()
        answer.wish = Wish(
            instance_id=instance_id,
            since=since,
            after=place_from_text(after) if after else None,
            history=given["history"],
            kv=given["kv"],
            streams=streams,
        )
        return answer

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(response, "exception", False):
            request.accepted_renderer, request.accepted_media_type = JSONRenderer(), JSONRenderer.media_type
        return super().finalize_response(request, response, *args, **kwargs)


def _streams(text: str | None) -> dict[str, int | None]:
    """Read which streams are followed. Raises: InvalidArgument, LimitExceeded."""
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    return streams_from_value(value)


class RequestViewer:
    """The user of a request, authenticated anew: as of now, by the same credentials."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._by_middleware = SessionViewer(getattr(request, "user", None), getattr(request, "session", None))

    def user(self) -> Any:
        again = copy.copy(self._request)
        again.user = self._by_middleware.user()
        try:
            return ChangesView().initialize_request(again).user
        except exceptions.APIException:
            return AnonymousUser()
