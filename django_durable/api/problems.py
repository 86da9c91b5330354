"""Errors as problem details (RFC 9457) with a `code` that stays the same, whatever the sentence says.

{"type": "about:blank", "title": "Conflict", "status": 409, "code": "illegal_transition", "detail": "Cannot ..."}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from ..engine import errors

MEDIA_TYPE = "application/problem+json"

CODES: Mapping[type[errors.DurableError], tuple[int, str]] = {
    errors.InstanceNotFound: (404, "instance_not_found"),
    errors.InstanceAlreadyExists: (409, "instance_already_exists"),
    errors.IllegalTransition: (409, "illegal_transition"),
    errors.InvalidArgument: (400, "invalid_argument"),
    errors.LimitExceeded: (400, "limit_exceeded"),
    errors.WaitTimeout: (408, "wait_timeout"),
    errors.WaitInsideTransaction: (409, "wait_inside_transaction"),
    errors.PromiseNotFound: (404, "promise_not_found"),
    errors.PromiseSettled: (409, "promise_settled"),
    errors.StreamClosed: (409, "stream_closed"),
    errors.StreamTrimmed: (410, "stream_trimmed"),
    errors.WrongDatabase: (409, "wrong_database"),
    errors.CallerError: (400, "bad_call"),
    errors.NotRegistered: (400, "not_registered"),
    errors.PayloadError: (400, "payload_error"),
    errors.NondeterminismError: (409, "nondeterminism"),
    errors.AuthorError: (400, "code_error"),
    errors.LeaseLost: (409, "lease_lost"),
    errors.ContentionError: (409, "contention"),
    errors.OrchestrationFailed: (409, "orchestration_failed"),
    errors.OutcomeError: (409, "outcome_error"),
}
"""Status and code of each class of error; one that is not here has those of its nearest base."""


def problem(status: int, code: str, detail: str, **more: Any) -> dict[str, Any]:
    """Return the body of a problem."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        **more,
    }


def problem_of(error: errors.DurableError) -> dict[str, Any]:
    """Return the body for an error of the library."""
    status, code = next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)
    if isinstance(error, errors.StreamClosed):  # Why is for those who may read it.
        error = errors.StreamClosed(error.name, error.position, None)
    return problem(status, code, str(error), **_particulars(error))


def _particulars(error: errors.DurableError) -> dict[str, Any]:
    match error:
        case errors.IllegalTransition():
            return {"instance_id": error.instance_id, "found": error.found, "expected": list(error.expected)}
        case errors.InstanceNotFound() | errors.InstanceAlreadyExists():
            return {"instance_id": error.instance_id}
        case errors.PromiseNotFound():
            return {"instance_id": error.instance_id, "promise_id": error.promise_id}
        case errors.PromiseSettled():
            more = {"outcome": error.outcome, "settled_by": error.settled_by or ""}
            return {"instance_id": error.instance_id, "promise_id": error.promise_id, **more}
        case errors.StreamClosed():
            return {"stream": error.name, "position": error.position}
        case errors.StreamTrimmed():
            return {"stream": error.name, "after": error.after, "first_position": error.first_position}
        case errors.LimitExceeded():
            return {"found": error.found, "limit": error.limit}
    return {}


def answer_exception(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the answer to an exception in a view, None for one that nobody expected."""
    headers: dict[str, str] = {}
    match error:
        case errors.DurableError():
            body = problem_of(error)
        case Http404():
            body = problem(404, "not_found", "There is nothing at this address.")
        case PermissionDenied():
            body = problem(403, "permission_denied", str(exceptions.PermissionDenied.default_detail))
        case exceptions.ValidationError():
            wrong = list(_wrong_fields(error.get_full_details()))
            text = " ".join(f"{each['field']}: {each['detail']}" if each["field"] else each["detail"] for each in wrong)
            body = problem(400, "invalid", text, errors=wrong)
        case exceptions.APIException():
            body = problem(error.status_code, _code(error), str(error.detail))
            if getattr(error, "auth_header", None):
                headers["WWW-Authenticate"] = error.auth_header
            if getattr(error, "wait", None):
                headers["Retry-After"] = f"{error.wait:.0f}"
        case _:
            return None
    set_rollback()
    return Response(body, status=body["status"], headers=headers)


def _code(error: exceptions.APIException) -> str:
    codes = error.get_codes()
    return codes if isinstance(codes, str) else str(error.default_code)


def _wrong_fields(details: Any, path: str = "") -> Iterator[dict[str, str]]:
    """Yield each message of a ValidationError with the path of its field, "" for the whole body."""
    if isinstance(details, dict) and isinstance(details.get("message"), str) and isinstance(details.get("code"), str):
        yield {"field": path, "code": details["code"], "detail": details["message"]}
    elif isinstance(details, dict):
        for name, inner in details.items():
            own = "" if name == "non_field_errors" else str(name)
            yield from _wrong_fields(inner, f"{path}.{own}".strip("."))
    else:
        for inner in details:
            yield from _wrong_fields(inner, path)
