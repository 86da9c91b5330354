"""The light status: what a front end polls. One query, and none of the answer when nothing changed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils.http import parse_etags
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.request import Request
from rest_framework.response import Response

from ...client import StatusRecord
from ...conf import settings
from ...engine.states import PARKED, TERMINAL
from ...permissions import Right
from .. import requests, shapes
from ..schemas import INSTANCE, described, header
from .base import DurableView

RETRY_SOON, RETRY_LATER = "1", "10"
"""Seconds: of an instance that runs, and of one that waits for an operator."""
POLLED = "no-cache, private"
_PREFER = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})\"?\s*(?=$|[,;])", re.ASCII | re.IGNORECASE)


def sent_header(name: str, description: str) -> OpenApiParameter:
    """Describe a header of requests."""
    return OpenApiParameter(name, OpenApiTypes.STR, OpenApiParameter.HEADER, description=description)


@dataclass(frozen=True, slots=True)
class LongPoll:
    """What the async view waits for before it asks for the answer again."""

    revision: int
    timeout: timedelta


class StatusView(DurableView):
    """The status and custom status of an instance; `output` and `error` for whoever may see payloads."""

    @described(
        "instances_status",
        "Poll an instance, or wait for it to change",
        {200: shapes.Status, 304: OpenApiResponse(description="Nothing changed since the revision of If-None-Match.")},
        path=[INSTANCE],
        query=requests.StatusQuery,
        headers=[
            sent_header("If-None-Match", "An earlier ETag."),
            sent_header("Prefer", "As in `wait=20`."),
            header("ETag", "Of the revision.", [200, 304]),
            header("Retry-After", "Seconds until it is worth asking again; absent when it is done.", [200, 304]),
            header("Preference-Applied", "The wait that was granted.", [200, 304]),
        ],
    )
    def get(self, request: Request, instance_id: str, waited: bool = False) -> Response:
        given = self.query(requests.StatusQuery)
        record = self.status_for(instance_id)
        payloads = self.allows(Right.VIEW_PAYLOAD, record)
        tag = _tag(record, payloads)
        unchanged = tag in parse_etags(request.headers.get("If-None-Match", ""))
        preferred = preferred_wait(request)
        wait = min(given.get("wait", preferred or 0), requests.LONGEST_WAIT)
        since = given.get("since", record.revision if unchanged else None)
        json = request.accepted_renderer.format == "json"

        answer = Response(status=304) if unchanged and json else Response(self._body(record, payloads))
        if json:  # The page of the browsable API shows more than the revision.
            answer["ETag"] = tag
        if preferred is not None:
            answer["Preference-Applied"] = f"wait={wait}"
        if record.runtime_status not in TERMINAL:
            answer["Retry-After"] = RETRY_LATER if record.runtime_status in PARKED else RETRY_SOON
            if wait and since == record.revision and not waited:
                answer.long_poll = LongPoll(since, min(timedelta(seconds=wait), settings.MAX_WAIT))
        answer["Cache-Control"] = POLLED
        return answer

    def check_throttles(self, request: Request) -> None:
        # A long poll is one request, though it is answered in two steps.
        if not self.kwargs.get("waited"):
            super().check_throttles(request)

    def _body(self, record: StatusRecord, payloads: bool) -> dict[str, Any]:
        return self.shown(shapes.Status, record, payloads=payloads)


def _tag(record: StatusRecord, payloads: bool) -> str:
    # With the surrogate id: an instance that was deleted and started again counts its revisions from one.
    return f'"{record.id}.{record.revision}{".p" if payloads else ""}"'


def preferred_wait(request: Request) -> int | None:
    """Return the seconds of `Prefer: wait=20` (RFC 7240), None where it is not asked for."""
    found = _PREFER.search(request.headers.get("Prefer", ""))
    return int(found[1]) if found else None
