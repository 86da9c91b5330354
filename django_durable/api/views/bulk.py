"""One operation on many instances, each for itself: what fails for one harms no other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from ...client import Client, InstanceFilter, InstanceSummary
from ...engine.errors import DurableError, IllegalTransition, InstanceNotFound
from ...engine.states import TERMINAL, Move, RuntimeStatus, sources
from ...permissions import DurablePermissions, Right, current_permissions
from .. import problems, requests, shapes
from ..schemas import described
from .base import DurableView

Given = Mapping[str, Any]
LIVE = frozenset(RuntimeStatus) - TERMINAL


@dataclass(frozen=True, slots=True)
class Operation:
    """What may be done to many.

    Attributes:
        statuses: In which an instance may be; others are not selected by a filter.
        run: Carries it out on one; raises what the client raises.
        of_roots: Whether it is done to whole trees only; children are not selected by a filter.
    """

    right: Right
    statuses: frozenset[RuntimeStatus]
    run: Callable[[Client, str, Given], object]
    of_roots: bool = False


OPERATIONS: Mapping[str, Operation] = {
    "cancel": Operation(Right.CANCEL, LIVE, lambda client, id, given: client.cancel_instance(id, given.get("reason"))),
    "terminate": Operation(
        Right.TERMINATE,
        sources(Move.TERMINATE),
        lambda client, id, given: client.terminate_instance(id, given.get("reason")),
    ),
    "suspend": Operation(Right.SUSPEND, sources(Move.SUSPEND), lambda client, id, given: client.suspend_instance(id)),
    "resume": Operation(Right.SUSPEND, sources(Move.RESUME), lambda client, id, given: client.resume_instance(id)),
    "retry": Operation(
        Right.RETRY, sources(Move.RETRY), lambda client, id, given: client.retry_instance(id), of_roots=True
    ),
    "prune": Operation(
        Right.PRUNE,
        frozenset(RuntimeStatus),
        lambda client, id, given: client.prune_executions(id, requests.prune_options(given)),
    ),
    "delete": Operation(
        Right.DELETE,
        TERMINAL,
        lambda client, id, given: client.delete_instance(id, force=given["force"]),
        of_roots=True,
    ),
}


class BulkView(DurableView):
    """One operation on the instances that are listed, or that a filter matches."""

    def admits(self, rules: DurablePermissions, user: Any) -> bool:
        return rules.can_list(user)

    @described(
        "bulk",
        "Do one thing to many instances, or see to which it could be done",
        {200: shapes.BulkResult},
        request=requests.BulkRequest,
    )
    def post(self, request: Request) -> Response:
        given = self.body(requests.BulkRequest)
        name = given["operation"]
        operation, statuses = OPERATIONS[name], OPERATIONS[name].statuses
        if name == "delete" and given["force"]:
            statuses = frozenset(RuntimeStatus)
        selected, missing, more = self._selected(given, statuses, roots_only=operation.of_roots)
        results = [_failed(InstanceNotFound(instance_id)) for instance_id in missing]
        results += [self._one(operation, each, given, statuses) for each in selected]
        succeeded = sum(each["ok"] for each in results)
        return Response(
            {
                "operation": name,
                "dry_run": given["dry_run"],
                "succeeded": succeeded,
                "failed": len(results) - succeeded,
                "more": more,
                "results": results,
            }
        )

    def _selected(
        self, given: Given, statuses: Collection[RuntimeStatus], *, roots_only: bool
    ) -> tuple[list[InstanceSummary], list[str], bool]:
        """Return the instances that the user may view, ids of which there are none, and whether a filter has more."""
        if "instance_ids" in given:
            wanted = list(dict.fromkeys(given["instance_ids"]))
            page = self.client.list_instances(InstanceFilter(instance_ids=wanted), limit=requests.BULK_LIMIT)
        else:
            wanted = []
            filter = requests.filter_of(given["filter"])
            asked = filter.statuses or list(RuntimeStatus)
            filter = replace(filter, runtime_status=[each for each in asked if each in statuses])
            if roots_only and filter.has_parent is None:
                filter = replace(filter, has_parent=False)
            page = self.client.list_instances(filter, limit=given["limit"])
        seen = [each for each in page.items if self.allows(Right.VIEW, each)]
        found = {each.instance_id for each in seen}
        return seen, [each for each in wanted if each not in found], page.next_cursor is not None

    def _one(
        self, operation: Operation, instance: InstanceSummary, given: Given, statuses: Collection[RuntimeStatus]
    ) -> dict[str, Any]:
        id = instance.instance_id
        forced = operation.right is Right.DELETE and given["force"]
        rights = [operation.right, *([Right.TERMINATE] if forced else [])]
        if not all(current_permissions().allows(self.request.user, right, instance) for right in rights):
            return _result(id, "permission_denied", str(PermissionDenied.default_detail))
        try:
            if not given["dry_run"]:
                operation.run(self.client, id, given)
            elif instance.runtime_status not in statuses:
                raise IllegalTransition(id, given["operation"], instance.runtime_status, sorted(statuses))
            elif operation.of_roots and instance.parent_instance_id is not None:
                raise IllegalTransition(id, given["operation"], "a sub-orchestration", ["a root"])
        except DurableError as error:
            return _failed(error, id)
        return _result(id)


def _failed(error: DurableError, instance_id: str = "") -> dict[str, Any]:
    body = problems.problem_of(error)
    return _result(instance_id or str(body.get("instance_id")), body["code"], body["detail"])


def _result(instance_id: str, code: str | None = None, detail: str | None = None) -> dict[str, Any]:
    return {"instance_id": instance_id, "ok": code is None, "code": code, "detail": detail}
