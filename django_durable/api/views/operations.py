"""What can be done to one instance: send to it, steer it, prune it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from ...permissions import Right
from .. import requests, shapes
from ..schemas import INSTANCE, QUEUE, described, header
from .base import DurableView

LOCATION = [header("Location", "Path of the status.", [202])]


def _moving(name: str, summary: str, request: type[requests.Asked]) -> Callable[[Any], Any]:
    """Describe a method that moves an instance to another status."""
    return described(
        f"instances_{name}",
        summary,
        {202: shapes.Changed},
        request=request,
        path=[INSTANCE],
        headers=LOCATION,
        fails=[409],
    )


class EventsView(DurableView):
    """Raise external events."""

    right = Right.SIGNAL

    @described(
        "instances_raise_event",
        "Raise an event",
        {202: shapes.Changed},
        request=requests.EventRequest,
        path=[INSTANCE],
        headers=LOCATION,
        fails=[409],
    )
    def post(self, request: Request, instance_id: str) -> Response:
        self.status_for(instance_id, self.right)
        given = self.body(requests.EventRequest)
        self.client.raise_event(instance_id, given["name"], given.get("data"))
        return self.answer_status(instance_id, 202)


class MessagesView(DurableView):
    """Put messages in an event queue of an instance."""

    right = Right.SIGNAL

    @described(
        "instances_enqueue",
        "Enqueue a message",
        {202: shapes.Changed},
        request=requests.MessageRequest,
        path=[INSTANCE, QUEUE],
        headers=LOCATION,
        fails=[409],
    )
    def post(self, request: Request, instance_id: str, queue: str) -> Response:
        self.status_for(instance_id, self.right)
        given = self.body(requests.MessageRequest)
        self.client.enqueue_event(instance_id, queue, given.get("data"))
        return self.answer_status(instance_id, 202)


class CancelView(DurableView):
    """Ask an instance to end; its code may compensate."""

    right = Right.CANCEL

    @_moving("cancel", "Ask an instance to end; its code may compensate", requests.ReasonRequest)
    def post(self, request: Request, instance_id: str) -> Response:
        self.status_for(instance_id, self.right)
        given = self.body(requests.ReasonRequest)
        self.client.cancel_instance(instance_id, given.get("reason"))
        return self.answer_status(instance_id, 202)


class TerminateView(DurableView):
    """End an instance at once, with its descendants."""

    right = Right.TERMINATE

    @_moving("terminate", "End an instance at once, with its descendants", requests.ReasonRequest)
    def post(self, request: Request, instance_id: str) -> Response:
        self.status_for(instance_id, self.right)
        given = self.body(requests.ReasonRequest)
        self.client.terminate_instance(instance_id, given.get("reason"))
        return self.answer_status(instance_id, 202)


class SuspendView(DurableView):
    """Stop running an instance until it is resumed."""

    right = Right.SUSPEND

    @_moving("suspend", "Stop running an instance until it is resumed", requests.NothingAsked)
    def post(self, request: Request, instance_id: str) -> Response:
        self.status_for(instance_id, self.right)
        self.body(requests.NothingAsked)
        self.client.suspend_instance(instance_id)
        return self.answer_status(instance_id, 202)


class ResumeView(DurableView):
    """Let a suspended or blocked instance go on."""

    right = Right.SUSPEND

    @_moving("resume", "Let a suspended or blocked instance go on", requests.NothingAsked)
    def post(self, request: Request, instance_id: str) -> Response:
        self.status_for(instance_id, self.right)
        self.body(requests.NothingAsked)
        self.client.resume_instance(instance_id)
        return self.answer_status(instance_id, 202)


class RetryView(DurableView):
    """Let an instance that ended badly go on from its last good point."""

    right = Right.RETRY

    @_moving("retry", "Let an instance that ended badly go on from its last good point", requests.RetryRequest)
    def post(self, request: Request, instance_id: str) -> Response:
        self.status_for(instance_id, self.right)
        given = self.body(requests.RetryRequest)
        self.client.retry_instance(instance_id, from_event=given.get("from_event"))
        return self.answer_status(instance_id, 202)


class ForkView(DurableView):
    """Start a new instance that goes on from an event of another one."""

    right = Right.RETRY

    @_moving("fork", "Start a new instance that goes on from an event of this one", requests.ForkRequest)
    def post(self, request: Request, instance_id: str) -> Response:
        self.status_for(instance_id, self.right)
        given = self.body(requests.ForkRequest)
        new = given["instance_id"]
        self.client.fork_instance(
            instance_id, new, execution=given.get("execution"), from_event=given.get("from_event")
        )
        return self.answer_status(new, 202)


class PruneView(DurableView):
    """Delete executions that an instance has continued from."""

    right = Right.PRUNE

    @described(
        "instances_prune", "Prune executions", {200: shapes.Pruned}, request=requests.PruneRequest, path=[INSTANCE]
    )
    def post(self, request: Request, instance_id: str) -> Response:
        self.status_for(instance_id, self.right)
        options = requests.prune_options(self.body(requests.PruneRequest))
        return Response(self.shown(shapes.Pruned, self.client.prune_executions(instance_id, options)))
