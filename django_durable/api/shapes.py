"""What the API answers, as serializers: one place for the JSON and for its description in OpenAPI.

Payloads come from the client as JSON text. Fields that only `view_payload` opens are left out without it: pass
`payloads=True` in the context where it is there.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from ..engine.states import TERMINAL, ExecutionStatus, RuntimeStatus


class Shape(serializers.Serializer):
    """Base: a component of its own name in OpenAPI, and fields that may be left out."""

    private: ClassVar[tuple[str, ...]] = ()
    """Left out unless the context has `payloads`."""
    inner: ClassVar[tuple[str, ...]] = ()
    """Left out unless the context has `inspect`."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # "Status" alone would take the name of a component of the project.
        extend_schema_serializer(component_name=f"Durable{cls.__name__}")(cls)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        shown = dict(super().to_representation(instance))
        hidden = (() if self.context.get("payloads") else self.private) + (
            () if self.context.get("inspect") else self.inner
        )
        return {name: value for name, value in shown.items() if name not in hidden}


@extend_schema_field(OpenApiTypes.ANY)
class JsonText(serializers.Field):
    """JSON text as the JSON value that it is."""

    def to_representation(self, value: Any) -> Any:
        return json.loads(value)


@extend_schema_field(OpenApiTypes.ANY)
class AnyValue(serializers.Field):
    """A value that is JSON already."""

    def to_representation(self, value: Any) -> Any:
        return value


def choice(values: Any) -> serializers.ChoiceField:
    return serializers.ChoiceField(choices=[each.value for each in values])


class UtcMoment(serializers.DateTimeField):
    """An aware datetime in UTC, with all its microseconds; the framework would render the project's time zone."""

    def to_representation(self, value: Any) -> Any:
        return None if value is None else value.isoformat().replace("+00:00", "Z")


class ErrorShape(Shape):
    error_type = serializers.CharField()
    message = serializers.CharField()
    traceback = serializers.CharField()


class Status(Shape):
    """An instance as whoever waits for it sees it."""

    private = ("output", "error", "blocked_reason")

    instance_id = serializers.CharField()
    orchestration = serializers.CharField()
    version = serializers.CharField()
    runtime_status = choice(RuntimeStatus)
    done = serializers.SerializerMethodField()
    execution_number = serializers.IntegerField()
    custom_status = JsonText(allow_null=True)
    custom_status_version = serializers.IntegerField()
    revision = serializers.IntegerField()
    created_at = UtcMoment()
    started_at = UtcMoment(allow_null=True)
    updated_at = UtcMoment()
    completed_at = UtcMoment(allow_null=True)
    output = JsonText(allow_null=True, required=False)
    error = ErrorShape(source="failure", allow_null=True, required=False)
    blocked_reason = ErrorShape(allow_null=True, required=False)

    def get_done(self, instance: Any) -> bool:
        return instance.runtime_status in TERMINAL


class PromiseShape(Shape):
    """A promise, or a request where it has a question."""

    id = serializers.IntegerField(help_text="For the next page of a list.")
    instance_id = serializers.CharField()
    orchestration = serializers.CharField()
    promise_id = serializers.CharField()
    name = serializers.CharField()
    question = JsonText(allow_null=True)
    answer = JsonText(allow_null=True, help_text="JSON Schema of the result.")
    assignee = serializers.CharField(allow_blank=True)
    is_open = serializers.BooleanField()
    outcome = serializers.CharField(
        allow_blank=True, help_text="Completed, Failed, Expired or Withdrawn; empty where there is none yet."
    )
    created_at = UtcMoment()
    expires_at = UtcMoment(allow_null=True)
    settled_at = UtcMoment(allow_null=True)
    settled_by = serializers.CharField(allow_blank=True)


class Requests(Shape):
    results = PromiseShape(many=True)
    next = serializers.CharField(allow_null=True, help_text="Path of the next page.")


class Summary(Shape):
    """An instance as a row of a list."""

    inner = ("history_length", "parent_instance_id", "root_instance_id", "worker_id")

    instance_id = serializers.CharField()
    orchestration = serializers.CharField()
    version = serializers.CharField()
    runtime_status = choice(RuntimeStatus)
    done = serializers.SerializerMethodField()
    execution_number = serializers.IntegerField()
    history_length = serializers.IntegerField(required=False)
    parent_instance_id = serializers.CharField(allow_null=True, required=False)
    root_instance_id = serializers.CharField(allow_null=True, required=False)
    worker_id = serializers.CharField(allow_null=True, required=False)
    custom_status = JsonText(allow_null=True)
    custom_status_version = serializers.IntegerField()
    revision = serializers.IntegerField()
    created_at = UtcMoment()
    started_at = UtcMoment(allow_null=True)
    updated_at = UtcMoment()
    completed_at = UtcMoment(allow_null=True)

    def get_done(self, instance: Any) -> bool:
        return instance.runtime_status in TERMINAL


class Detail(Summary):
    """An instance with what it was given and what it returned, for whoever may see payloads."""

    private = ("input", "output", "error", "blocked_reason")

    input = JsonText(required=False)
    output = JsonText(allow_null=True, required=False)
    error = ErrorShape(source="failure", allow_null=True, required=False)
    blocked_reason = ErrorShape(allow_null=True, required=False)


class Page(Shape):
    results = Summary(many=True)
    next = serializers.CharField(allow_null=True, help_text="Path of the next page.")


class Tree(Shape):
    """The instance and its descendants, parents before children."""

    results = Summary(many=True)


class Changed(Shape):
    """The answer to a change. `instance` is null for whoever may not view it."""

    instance_id = serializers.CharField()
    status_url = serializers.CharField()
    instance = Status(allow_null=True)


class Started(Changed):
    created = serializers.BooleanField(help_text="False where the instance existed already, with the same input.")


class Event(Shape):
    """One recorded fact."""

    private = ("payload", "data")

    seq = serializers.IntegerField()
    recorded_at = UtcMoment()
    kind = serializers.CharField()
    name = serializers.CharField(allow_null=True)
    source_seq = serializers.IntegerField(allow_null=True, help_text="Of the event that this one answers.")
    payload = JsonText(allow_null=True, required=False)
    data = JsonText(allow_null=True, required=False)


class History(Shape):
    results = Event(many=True)
    next = serializers.CharField(allow_null=True, help_text="Path of the events after these.")


class ExecutionSummary(Shape):
    number = serializers.IntegerField()
    version = serializers.CharField()
    execution_status = serializers.ChoiceField(source="status", choices=[each.value for each in ExecutionStatus])
    event_count = serializers.IntegerField(allow_null=True, help_text="Null while it runs, in lists.")
    started_at = UtcMoment()
    completed_at = UtcMoment(allow_null=True)


class ExecutionDetail(ExecutionSummary):
    private = ("input", "output", "error")

    input = JsonText(required=False)
    output = JsonText(allow_null=True, required=False)
    error = ErrorShape(source="failure", allow_null=True, required=False)


class Executions(Shape):
    """Newest first; at most 200."""

    results = ExecutionSummary(many=True)


class StreamShape(Shape):
    """A stream. No item has a higher position than the last, and some below it may have none."""

    private = ("reason",)

    name = serializers.CharField()
    items = serializers.IntegerField(help_text="How many are kept.")
    first_position = serializers.IntegerField(help_text="Of the first item that is kept.")
    last_position = serializers.IntegerField()
    closed = serializers.BooleanField()
    reason = JsonText(allow_null=True, required=False, help_text="Why it was closed, for whoever may read it.")
    awaited = serializers.BooleanField(help_text="Whether the code of the instance has begun to read it.")


class Streams(Shape):
    results = StreamShape(many=True)


class Item(Shape):
    position = serializers.IntegerField()
    value = JsonText(source="payload", allow_null=True)
    created_at = UtcMoment()


class Items(Shape):
    """Items after a position. A stream ends where it is closed, or with its instance."""

    items = Item(many=True)
    position = serializers.IntegerField(help_text="To read on from.")
    first_position = serializers.IntegerField(help_text="Of the first item that is kept.")
    ended = serializers.BooleanField(help_text="Nothing follows. A page of the last items may not tell so yet.")
    reason = serializers.CharField(allow_null=True, help_text="Why it was closed, if that was told.")
    next = serializers.CharField(allow_null=True, required=False, help_text="Path of what follows.")


class Sent(Changed):
    position = serializers.IntegerField(help_text="Of the last item.")


class Trimmed(Shape):
    first_position = serializers.IntegerField()
    items_deleted = serializers.IntegerField()


class KeyValues(Shape):
    values = serializers.DictField(child=AnyValue(), source="*")


class KeyValueEntry(Shape):
    key = serializers.CharField()
    value = JsonText(allow_null=True)


class Deleted(Shape):
    instances_deleted = serializers.IntegerField()
    executions_deleted = serializers.IntegerField()
    events_deleted = serializers.IntegerField()
    queue_messages_deleted = serializers.IntegerField()
    key_values_deleted = serializers.IntegerField()


class Pruned(Shape):
    instances_processed = serializers.IntegerField()
    executions_deleted = serializers.IntegerField()
    events_deleted = serializers.IntegerField()


class BulkItem(Shape):
    instance_id = serializers.CharField()
    ok = serializers.BooleanField(help_text="Done; or, in a dry run, can be done.")
    code = serializers.CharField(allow_null=True, help_text="Of the problem.")
    detail = serializers.CharField(allow_null=True)


class BulkResult(Shape):
    operation = serializers.CharField()
    dry_run = serializers.BooleanField()
    succeeded = serializers.IntegerField()
    failed = serializers.IntegerField()
    more = serializers.BooleanField(help_text="More instances match than the limit lets through; ask again.")
    results = BulkItem(many=True)


class OrchestrationShape(Shape):
    """A registered orchestration in one version."""

    name = serializers.CharField()
    version = serializers.CharField()
    latest = serializers.BooleanField(help_text="Whether a start without a version takes this one.")
    description = serializers.CharField(allow_blank=True)
    input_schema = AnyValue(help_text="JSON Schema.")
    output_schema = AnyValue(help_text="JSON Schema.")


class Orchestrations(Shape):
    results = OrchestrationShape(many=True)


class WorkerShape(Shape):
    worker_id = serializers.CharField()
    host = serializers.CharField()
    pid = serializers.IntegerField()
    tags = JsonText()
    concurrency = serializers.IntegerField()
    metrics = JsonText()
    started_at = UtcMoment()
    heartbeat_at = UtcMoment()
    stopping = serializers.BooleanField()


class Workers(Shape):
    results = WorkerShape(many=True)


class SystemShape(Shape):
    total_instances = serializers.IntegerField()
    total_executions = serializers.IntegerField()
    total_events = serializers.IntegerField()
    instances_by_status = serializers.DictField(child=serializers.IntegerField())


class QueuesShape(Shape):
    orchestrator_queue = serializers.IntegerField()
    timer_queue = serializers.IntegerField()
    held_messages = serializers.IntegerField()
    worker_queue = serializers.IntegerField()
    delayed_activities = serializers.IntegerField()
    running_activities = serializers.IntegerField()
    worker_queue_by_tag = serializers.DictField(child=serializers.IntegerField())


class Metrics(Shape):
    system = SystemShape()
    queues = QueuesShape()
    workers = serializers.IntegerField()


class Health(Shape):
    ok = serializers.BooleanField()


class FieldProblem(Shape):
    field = serializers.CharField(allow_blank=True)
    code = serializers.CharField()
    detail = serializers.CharField()


class Problem(Shape):
    """Problem details (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField(help_text="Stable; programs may rely on it.")
    detail = serializers.CharField()
    errors = FieldProblem(many=True, required=False)
