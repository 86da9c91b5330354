"""Streams of an instance: listed, read from a position, sent on, closed and trimmed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from ...client import StatusRecord
from ...conf import settings
from ...engine.states import PARKED
from ...permissions import Right, current_permissions
from .. import requests, shapes
from ..schemas import INSTANCE, STREAM, described, header
from .base import DurableView
from .status import RETRY_LATER, RETRY_SOON, preferred_wait, sent_header

LOCATION = [header("Location", "Path of the status.", [202])]


@dataclass(frozen=True, slots=True)
class ItemsPoll:
    """What the async view waits for before it asks for the answer again."""

    after: int
    timeout: timedelta


class StreamsView(DurableView):
    """The streams that the user may read, by name; all of them for whoever may inspect the instance."""

    @described("streams_list", "List streams", {200: shapes.Streams}, path=[INSTANCE])
    def get(self, request: Request, instance_id: str) -> Response:
        record = self.status_for(instance_id)
        rules, inspects = current_permissions(), self.allows(Right.INSPECT, record)
        rows = [
            self.shown(shapes.StreamShape, each, payloads=reads)
            for each in self.client.list_streams(instance_id)
            if (reads := rules.allows_reading(request.user, record, each.name)) or inspects
        ]
        return Response({"results": rows})


class ItemsView(DurableView):
    """Items of one stream."""

    @described(
        "streams_read",
        "Read a stream, or wait for its next item",
        {200: shapes.Items},
        path=[INSTANCE, STREAM],
        query=requests.ItemsQuery,
        headers=[
            sent_header("Prefer", "As in `wait=20`."),
            header("Retry-After", "Seconds until it is worth asking again, where there was nothing.", [200]),
            header("Preference-Applied", "The wait that was granted.", [200]),
        ],
        fails=[410],
    )
    def get(self, request: Request, instance_id: str, stream: str, waited: bool = False) -> Response:
        given = self.query(requests.ItemsQuery)
        record = self.status_for(instance_id)
        self.granted(record, current_permissions().allows_reading(request.user, record, stream))
        page = self.client.read_stream_record(instance_id, stream, after=given.get("after"), limit=given["limit"])
        preferred = preferred_wait(request)
        wait = min(given.get("wait", preferred or 0), requests.LONGEST_WAIT)
        following = None if page.ended else self.path_of_next(after=page.position)
        answer = Response({**self.shown(shapes.Items, page), "next": following})
        if preferred is not None:
            answer["Preference-Applied"] = f"wait={wait}"
        if not page.items and not page.ended:
            answer["Retry-After"] = RETRY_LATER if record.runtime_status in PARKED else RETRY_SOON
            if wait and not waited:
                answer.long_poll = ItemsPoll(page.position, min(timedelta(seconds=wait), settings.MAX_WAIT))
        return answer

    @described(
        "streams_send",
        "Send on a stream, or a signal",
        {202: shapes.Sent},
        request=requests.ItemsRequest,
        path=[INSTANCE, STREAM],
        headers=LOCATION,
        fails=[409],
    )
    def post(self, request: Request, instance_id: str, stream: str) -> Response:
        sendable(self, instance_id, stream)
        items = self.body(requests.ItemsRequest)["items"]
        position = self.client.send_to_stream(instance_id, stream, *items)
        return self.answer_status(instance_id, 202, position=position)

    def check_throttles(self, request: Request) -> None:
        # A long poll is one request, though it is answered in two steps.
        if not self.kwargs.get("waited"):
            super().check_throttles(request)


def sendable(view: DurableView, instance_id: str, stream: str) -> StatusRecord:
    """Read an instance on one stream of which the user may send. Raises: as `DurableView.checked`."""
    record = view.known(instance_id)
    return view.granted(record, current_permissions().can_send_to_stream(view.request.user, record, stream))


class CloseView(DurableView):
    """End a stream."""

    @described(
        "streams_close",
        "Close a stream",
        {202: shapes.Changed},
        request=requests.ReasonRequest,
        path=[INSTANCE, STREAM],
        headers=LOCATION,
        fails=[409],
    )
    def post(self, request: Request, instance_id: str, stream: str) -> Response:
        sendable(self, instance_id, stream)
        reason: Any = self.body(requests.ReasonRequest).get("reason")
        self.client.close_stream(instance_id, stream, reason)
        return self.answer_status(instance_id, 202)


class TrimView(DurableView):
    """Delete items that nobody needs any more."""

    @described(
        "streams_trim",
        "Delete the oldest items of a stream",
        {200: shapes.Trimmed},
        request=requests.TrimRequest,
        path=[INSTANCE, STREAM],
    )
    def post(self, request: Request, instance_id: str, stream: str) -> Response:
        self.status_for(instance_id, Right.PRUNE)
        given = self.body(requests.TrimRequest)
        found = self.client.trim_stream(instance_id, stream, before=given.get("before"), keep=given.get("keep"))
        return Response(self.shown(shapes.Trimmed, found))
