"""How the views describe themselves in OpenAPI."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from . import problems
from .shapes import Problem

ENCODING = "Encoded twice (as every address in answers is), where it has slashes or percent signs."


def in_path(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, OpenApiParameter.PATH, description=description)


INSTANCE = in_path("instance_id", f"Id of the instance. {ENCODING}")
KEY = in_path("key", f"KV key. {ENCODING}")
QUEUE = in_path("queue", f"Name of the event queue. {ENCODING}")
STREAM = in_path("stream", f"Name of the stream. {ENCODING}")
PROMISE = in_path("promise_id", "Id of the promise.")
NUMBER = OpenApiParameter("number", OpenApiTypes.INT, OpenApiParameter.PATH, description="Number of the execution.")

_MEANING = {
    400: "The request cannot mean anything; `errors` says which fields.",
    401: "Nobody is logged in.",
    403: "Not allowed; or nobody is logged in.",
    404: "There is no such thing, or none that the user may see.",
    409: "The state does not allow it.",
    410: "What is wanted is no longer kept.",
    413: "The body is too large.",
    411: "The body has no Content-Length.",
    415: "The body is not JSON.",
    406: "The media type that was asked for is not offered.",
}


class NothingElse(OpenApiSerializerExtension):
    """Says of what is asked that it takes no other names."""

    target_class = "django_durable.api.requests.Asked"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        made = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**made, "additionalProperties": False}


def header(name: str, description: str, statuses: Iterable[int], *, type: Any = OpenApiTypes.STR) -> OpenApiParameter:
    """Describe a header of answers."""
    return OpenApiParameter(
        name, type, OpenApiParameter.HEADER, response=[str(each) for each in statuses], description=description
    )


def described(
    operation: str,
    summary: str,
    answers: dict[Any, Any],
    *,
    request: Any = None,
    query: Any = None,
    path: Iterable[OpenApiParameter] = (),
    headers: Iterable[OpenApiParameter] = (),
    fails: Iterable[int] = (),
    is_open: bool = False,
) -> Callable[[Any], Any]:
    """Describe one method of a view; what every method may answer is added.

    Args:
        is_open: Whether everybody may ask.
    """
    expected = {406, *fails} if is_open else {401, 403, 406, *fails}
    if request is not None:
        expected |= {400, 411, 413, 415}
    if query is not None:
        expected |= {400}
    if path:
        expected |= {400, 404}
    wrong = {(status, problems.MEDIA_TYPE): OpenApiResponse(Problem, _MEANING[status]) for status in sorted(expected)}
    describe = extend_schema(
        operation_id=f"durable_{operation}",
        summary=summary,
        tags=["durable"],
        request=request,
        responses={**answers, **wrong},
        parameters=[*path, *headers, *([query] if query is not None else [])],
    )

    def decorate(method: Any) -> Any:
        # The description extends the schema class of the method, else the project's default, which may be another's.
        method.kwargs = {"schema": AutoSchema}
        return describe(method)

    return decorate
