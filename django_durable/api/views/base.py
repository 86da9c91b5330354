"""What every view shares: the client, the rules, bounded bodies, problem details."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from drf_spectacular.openapi import AutoSchema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from ...client import StatusRecord
from ...client.viewing import ViewingClient, client as default_client
from ...engine.errors import InstanceNotFound
from ...permissions import DurablePermissions, Permitted, Right, current_permissions
from ...store.transactions import commits_alone
from .. import problems
from ..parsers import BoundedJSONParser, LengthRequired
from ..permissions import DurablePermission
from ..shapes import Status

APP_NAME = "django_durable"
UNCACHED = "no-store, private"
GIVEN_TWICE = "It is given more than once. Give one value."

T = TypeVar("T", bound=Permitted)


class DurableView(APIView):
    """Base of the views. Authentication, throttles and renderers are the project's, permissions are not."""

    client: ClassVar[ViewingClient] = default_client
    permission_classes = [DurablePermission]
    parser_classes = [BoundedJSONParser]
    versioning_class = None
    schema: AutoSchema | None = AutoSchema()

    def admits(self, rules: DurablePermissions, user: Any) -> bool:
        """Whether a user may use this view at all; for one instance, that is decided by the instance."""
        return True

    @commits_alone()
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return super().dispatch(request, *args, **kwargs)

    def get_exception_handler(self) -> Any:
        return problems.answer_exception

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        if getattr(response, "exception", False) and response.accepted_renderer.format == "json":
            response.content_type = problems.MEDIA_TYPE
        if "Cache-Control" not in response:
            response["Cache-Control"] = UNCACHED
        return response

    # Who may see what.

    def status_for(self, instance_id: str, right: Right = Right.VIEW) -> StatusRecord:
        """Read an instance of which the user has a right, by one query.

        Raises: as `checked`.
        """
        return self.checked(self.known(instance_id), right)

    def known(self, instance_id: str) -> StatusRecord:
        """Read an instance, whoever asks; to be `checked` or `granted`. Raises: NotAuthenticated, InstanceNotFound."""
        try:
            return self.client.get_status_record(instance_id)
        except InstanceNotFound:
            # Whoever is not logged in is not told which instances there are.
            self.refuse_anonymous()
            raise

    def checked(self, instance: T, right: Right = Right.VIEW) -> T:
        """Return an instance of which the user has a right.

        Raises:
            NotAuthenticated: nobody is logged in.
            PermissionDenied: the user sees the instance, and may not do this.
            InstanceNotFound: the user may not even see it.
        """
        return self.granted(instance, current_permissions().allows(self.request.user, right, instance))

    def granted(self, instance: T, allowed: bool) -> T:
        """Return an instance where the rules allow what is wanted of it. Raises: as `checked`."""
        if allowed:
            return instance
        self.refuse_anonymous()
        if current_permissions().can_view(self.request.user, instance):
            raise exceptions.PermissionDenied
        raise InstanceNotFound(instance.instance_id)

    def allows(self, right: Right, instance: Permitted) -> bool:
        return current_permissions().allows(self.request.user, right, instance)

    def refuse_anonymous(self) -> None:
        """Raises: NotAuthenticated, or PermissionDenied where the project knows no way to log in."""
        if not getattr(self.request.user, "is_authenticated", False):
            self.permission_denied(self.request)

    # What came in, what goes out.

    def body(self, serializer: type[Serializer]) -> dict[str, Any]:
        """Return the validated body; no body is an empty object.

        Raises: ValidationError, ParseError, LengthRequired.
        """
        if "Transfer-Encoding" in self.request.headers and not self.request.META.get("CONTENT_LENGTH"):
            raise LengthRequired("The body has no Content-Length, and would be taken for empty. Send it.")
        return self._validated(serializer(data=self.request.data))

    def query(self, serializer: type[Serializer]) -> dict[str, Any]:
        """Return the validated query parameters; `format` is the framework's. Raises: ValidationError."""
        many = {name for name, field in serializer().fields.items() if hasattr(field, "child")}
        if twice := [
            name for name, values in self.request.query_params.lists() if len(values) > 1 and name not in many
        ]:
            raise exceptions.ValidationError({name: exceptions.ErrorDetail(GIVEN_TWICE, "repeated") for name in twice})
        given = {
            name: values if name in many else values[-1]
            for name, values in self.request.query_params.lists()
            if name != self.settings.URL_FORMAT_OVERRIDE
        }
        return self._validated(serializer(data=given))

    def _validated(self, serializer: Serializer) -> dict[str, Any]:
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def path_of(self, name: str, **kwargs: Any) -> str:
        """Return the path of another view of this API, under whatever namespace it is included."""
        match = self.request.resolver_match
        namespace = match.namespace if match is not None and match.namespace else APP_NAME
        return reverse(f"{namespace}:{name}", kwargs=kwargs)

    def path_of_next(self, **changes: Any) -> str:
        """Return the path of this request with other query parameters."""
        query = self.request.query_params.copy()
        for name, value in changes.items():
            query[name] = str(value)
        return f"{self.request.path}?{query.urlencode()}"

    def shown(self, shape: type[Serializer], instance: Any, **context: Any) -> dict[str, Any]:
        return dict(shape(instance, context=context).data)

    def answer_status(self, instance_id: str, status: int, **more: Any) -> Response:
        """Return an answer to a change: where the status is, and the status itself to whoever may see it."""
        location = self.path_of("instance-status", instance_id=instance_id)
        body: dict[str, Any] = {"instance_id": instance_id, "status_url": location, "instance": None, **more}
        record = self.client.get_status_record(instance_id)
        if self.allows(Right.VIEW, record):
            body["instance"] = self.shown(Status, record, payloads=self.allows(Right.VIEW_PAYLOAD, record))
        return Response(body, status=status, headers={"Location": location})
