"""Requests and promises: what people are asked, and their answers."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from ...permissions import DurablePermissions, Right
from .. import requests, shapes
from ..schemas import INSTANCE, PROMISE, described, header
from .base import DurableView

LOCATION = [header("Location", "Path of the status.", [202])]


class RequestsView(DurableView):
    """Requests, newest first, of instances that the user may view and answer for."""

    def admits(self, rules: DurablePermissions, user: Any) -> bool:
        return rules.can_list(user)

    @described("requests_list", "List what people are asked", {200: shapes.Requests}, query=requests.RequestsQuery)
    def get(self, request: Request) -> Response:
        given = self.query(requests.RequestsQuery)
        limit = given["limit"]
        found = self.client.list_requests(
            assignee=given.get("assignee"),
            instance_id=given.get("instance_id"),
            open_only=given["open"],
            before=given.get("before"),
            limit=limit + 1,
        )
        page = found[:limit]
        following = self.path_of_next(before=page[-1].id) if len(found) > limit else None
        rows = [
            self.shown(shapes.PromiseShape, each)
            for each in page
            if self.allows(Right.VIEW, each) and self.allows(Right.ANSWER, each)
        ]
        return Response({"results": rows, "next": following})


class PromiseView(DurableView):
    """One promise of an instance."""

    @described("promises_retrieve", "Look at a promise", {200: shapes.PromiseShape}, path=[INSTANCE, PROMISE])
    def get(self, request: Request, instance_id: str, promise_id: str) -> Response:
        self.status_for(instance_id, Right.ANSWER)
        return Response(self.shown(shapes.PromiseShape, self.client.get_promise(instance_id, promise_id)))


class CompletionView(DurableView):
    """Complete a promise; answer a request."""

    @described(
        "promises_complete",
        "Complete a promise, or answer a request",
        {202: shapes.Changed},
        request=requests.ResultRequest,
        path=[INSTANCE, PROMISE],
        headers=LOCATION,
        fails=[409],
    )
    def post(self, request: Request, instance_id: str, promise_id: str) -> Response:
        self.status_for(instance_id, Right.ANSWER)
        result = self.body(requests.ResultRequest).get("result")
        self.client.complete_promise(instance_id, promise_id, result, by=request.user.get_username())
        return self.answer_status(instance_id, 202)


class FailureView(DurableView):
    """Fail a promise."""

    @described(
        "promises_fail",
        "Fail a promise",
        {202: shapes.Changed},
        request=requests.FailureRequest,
        path=[INSTANCE, PROMISE],
        headers=LOCATION,
        fails=[409],
    )
    def post(self, request: Request, instance_id: str, promise_id: str) -> Response:
        self.status_for(instance_id, Right.ANSWER)
        message = self.body(requests.FailureRequest)["message"]
        self.client.fail_promise(instance_id, promise_id, message, by=request.user.get_username())
        return self.answer_status(instance_id, 202)
