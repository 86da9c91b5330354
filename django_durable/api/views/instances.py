"""Instances: list, start, look at, delete; their trees, executions, histories and KV entries."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError

from ...client import InstanceSummary
from ...engine.errors import InstanceAlreadyExists, InstanceNotFound
from ...permissions import DurablePermissions, Right, current_permissions
from .. import requests, shapes
from ..schemas import INSTANCE, KEY, NUMBER, described, header
from .base import DurableView

RETRY_SOON = "1"
IDEMPOTENCY_KEY = "Idempotency-Key"
LOCATION = "Path of the status."


class InstancesView(DurableView):
    """Instances, newest first; and starting new ones."""

    def admits(self, rules: DurablePermissions, user: Any) -> bool:
        # Whether somebody may start is decided by what is started.
        return self.request.method == "POST" or rules.can_list(user)

    @described("instances_list", "List instances, newest first", {200: shapes.Page}, query=requests.ListQuery)
    def get(self, request: Request) -> Response:
        given = self.query(requests.ListQuery)
        filter = requests.filter_of(given)
        page = self.client.list_instances(filter, limit=given["limit"], cursor=given.get("cursor"))
        following = None if page.next_cursor is None else self.path_of_next(cursor=page.next_cursor)
        return Response({"results": self.rows(page.items), "next": following})

    @described(
        "instances_start",
        "Start an instance",
        {202: shapes.Started, 200: shapes.Started},
        request=requests.StartRequest,
        headers=[
            OpenApiParameter(
                IDEMPOTENCY_KEY,
                OpenApiTypes.STR,
                OpenApiParameter.HEADER,
                description="The instance id: the same id with the same input starts once, however often it is sent.",
            ),
            header("Location", LOCATION, [202, 200]),
            header("Retry-After", "Seconds until it is worth asking for the status.", [202]),
        ],
        fails=[409],
    )
    def post(self, request: Request) -> Response:
        given = self.body(requests.StartRequest)
        name = given["orchestration"]
        if not current_permissions().can_start(request.user, name):
            self.permission_denied(request)
        instance_id = _instance_id(request, given.get("instance_id")) or uuid.uuid4().hex
        delay = given.get("delay_ms")
        try:
            started = self.client.start_orchestration(
                instance_id,
                name,
                given.get("input"),
                version=given.get("version"),
                start_at=given.get("start_at"),
                delay=None if delay is None else timedelta(milliseconds=delay),
            )
        except InstanceAlreadyExists:
            if self._hides(instance_id):
                raise InstanceAlreadyExists(instance_id, "orchestration, version or input") from None
            raise
        answer = self.answer_status(instance_id, 202 if started.created else 200, created=started.created)
        if started.created:
            answer["Retry-After"] = RETRY_SOON
        return answer

    def rows(self, items: Iterable[InstanceSummary]) -> list[dict[str, Any]]:
        """Return as rows those instances that the user may view."""
        return shown_rows(self, items)

    def _hides(self, instance_id: str) -> bool:
        try:
            return not self.allows(Right.VIEW, self.client.get_status_record(instance_id))
        except InstanceNotFound:
            return True


def shown_rows(view: DurableView, items: Iterable[InstanceSummary]) -> list[dict[str, Any]]:
    """Return as rows of JSON those instances that the user may view."""
    return [
        view.shown(shapes.Summary, item, inspect=view.allows(Right.INSPECT, item))
        for item in items
        if view.allows(Right.VIEW, item)
    ]


def _instance_id(request: Request, given: str | None) -> str | None:
    """Return the id that the caller chose, in the body or in the header."""
    key = request.headers.get(IDEMPOTENCY_KEY)
    if key is None:
        return given
    if len(key) > 1 and key[0] == key[-1] == '"':  # As the draft of the header's standard writes it.
        key = key[1:-1]
    if not key or not key.isascii() or not key.isprintable():
        raise ValidationError({IDEMPOTENCY_KEY: "Expected printable ASCII. Give other ids as instance_id in the body."})
    if given not in (None, key):
        raise ValidationError({IDEMPOTENCY_KEY: "It differs from instance_id. Give one of them."})
    return key


class InstanceView(DurableView):
    """One instance, with what it was given and what it returned."""

    @described("instances_retrieve", "Look at an instance", {200: shapes.Detail}, path=[INSTANCE])
    def get(self, request: Request, instance_id: str) -> Response:
        try:
            found = self.client.get_instance_info(instance_id)
        except InstanceNotFound:
            self.refuse_anonymous()
            raise
        self.checked(found)
        payloads, inspect = self.allows(Right.VIEW_PAYLOAD, found), self.allows(Right.INSPECT, found)
        return Response(self.shown(shapes.Detail, found, payloads=payloads, inspect=inspect))

    @described(
        "instances_delete",
        "Delete an instance with its descendants",
        {200: shapes.Deleted},
        path=[INSTANCE],
        query=requests.DeleteQuery,
        fails=[409],
    )
    def delete(self, request: Request, instance_id: str) -> Response:
        force = self.query(requests.DeleteQuery)["force"]
        record = self.status_for(instance_id, Right.DELETE)
        if force and not self.allows(Right.TERMINATE, record):
            raise exceptions.PermissionDenied
        return Response(self.shown(shapes.Deleted, self.client.delete_instance(instance_id, force=force)))


class TreeView(DurableView):
    """An instance and all its descendants."""

    @described("instances_tree", "Look at an instance's descendants", {200: shapes.Tree}, path=[INSTANCE])
    def get(self, request: Request, instance_id: str) -> Response:
        self.status_for(instance_id, Right.INSPECT)
        return Response({"results": shown_rows(self, self.client.get_instance_tree(instance_id).nodes)})


class ExecutionsView(DurableView):
    """The executions of an instance, newest first."""

    @described("instances_executions", "List an instance's executions", {200: shapes.Executions}, path=[INSTANCE])
    def get(self, request: Request, instance_id: str) -> Response:
        record = self.status_for(instance_id, Right.INSPECT)
        found = self.client.outline_executions(record.id)
        return Response({"results": [self.shown(shapes.ExecutionSummary, each) for each in found]})


class ExecutionView(DurableView):
    """One execution."""

    @described("instances_execution", "Look at an execution", {200: shapes.ExecutionDetail}, path=[INSTANCE, NUMBER])
    def get(self, request: Request, instance_id: str, number: int) -> Response:
        record = self.status_for(instance_id, Right.INSPECT)
        if not 0 < number <= record.execution_number:
            raise Http404
        found = self.client.get_execution_info(instance_id, number)
        payloads = self.allows(Right.VIEW_PAYLOAD, record)
        return Response(self.shown(shapes.ExecutionDetail, found, payloads=payloads))


class HistoryView(DurableView):
    """The events of one execution, in order."""

    @described(
        "instances_history",
        "Read a history",
        {200: shapes.History},
        path=[INSTANCE],
        query=requests.HistoryQuery,
    )
    def get(self, request: Request, instance_id: str) -> Response:
        given = self.query(requests.HistoryQuery)
        record = self.status_for(instance_id, Right.INSPECT)
        number, limit = given.get("execution", record.execution_number), given["limit"]
        events = self.client.read_execution_history(instance_id, number, after=given["after"], limit=limit + 1)
        payloads = self.allows(Right.VIEW_PAYLOAD, record)
        rows = [
            self.shown(
                shapes.Event,
                {"seq": event.seq, "recorded_at": event.recorded_at, **event.fact.columns()._asdict()},
                payloads=payloads,
            )
            for event in events[:limit]
        ]
        more = len(events) > limit
        return Response(
            {"results": rows, "next": self.path_of_next(execution=number, after=rows[-1]["seq"]) if more else None}
        )


class KeyValuesView(DurableView):
    """The KV entries of an instance, as last committed."""

    @described("instances_kv", "Read all KV entries", {200: shapes.KeyValues}, path=[INSTANCE])
    def get(self, request: Request, instance_id: str) -> Response:
        self.status_for(instance_id, Right.VIEW_PAYLOAD)
        found = self.client.get_kv_payloads(instance_id)
        return Response({"values": {key: json.loads(payload) for key, payload in found.items()}})


class KeyValueView(DurableView):
    """One KV entry."""

    @described("instances_kv_entry", "Read one KV entry", {200: shapes.KeyValueEntry}, path=[INSTANCE, KEY])
    def get(self, request: Request, instance_id: str, key: str) -> Response:
        self.status_for(instance_id, Right.VIEW_PAYLOAD)
        found = self.client.get_kv_payload(instance_id, key)
        if found is None:
            raise Http404
        return Response(self.shown(shapes.KeyValueEntry, {"key": key, "value": found}))
