"""What the API takes: bodies and query parameters. Strict: an unknown name or a wrong type is told, never ignored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ..client import InstanceFilter, PruneOptions
from ..client.streaming import LARGEST_POSITION, MOST_AT_ONCE
from ..engine.durations import EPOCH, LATEST
from ..engine.states import RuntimeStatus
from ..models import INSTANCE_ID_LENGTH, NAME_LENGTH, VERSION_LENGTH
from .shapes import Shape

PAGE_SIZE = 50
LARGEST_PAGE = 500
LONGEST_WAIT = 30
"""Seconds of one long poll at most; whoever asks for more gets this."""
BULK_LIMIT = 1_000
LARGEST_NUMBER = 2**31 - 1
LONGEST_REASON = 1_000


class Text(serializers.CharField):
    """Text as it was sent: not trimmed, not empty, and no number in its place."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, min_length=1, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Choice(serializers.ChoiceField):
    """One of some words; a wrong one is answered with all of them."""

    def __init__(self, choices: list[str], **options: Any) -> None:
        super().__init__(choices, **options)
        self.error_messages["invalid_choice"] = f"There is no such value; there are: {', '.join(choices)}."


class Moment(serializers.DateTimeField):
    """A date and time; without an offset, in the project's time zone."""

    default_error_messages = {"range": "Expected a time between 1970 and 9999."}

    def to_internal_value(self, value: Any) -> datetime:
        found: datetime = super().to_internal_value(value)
        if not EPOCH <= found < LATEST:
            self.fail("range")
        return found


class Whole(serializers.IntegerField):
    """A whole number; JSON's `true` is none."""

    def __init__(self, *, max_value: int = LARGEST_NUMBER, min_value: int = 0, **options: Any) -> None:
        super().__init__(max_value=max_value, min_value=min_value, **options)

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool | float):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field(OpenApiTypes.ANY)
class Anything(serializers.Field):
    """Any JSON value."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_null=True, **options)

    def to_internal_value(self, data: Any) -> Any:
        return data


class Asked(Shape):
    """Base: refuses names that it does not know."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and (unknown := [name for name in data if name not in self.fields]):
            raise serializers.ValidationError(
                {name: serializers.ErrorDetail(self._unknown(), code="unknown") for name in unknown[:10]}
            )
        return super().to_internal_value(data)

    def _unknown(self) -> str:
        known = ", ".join(self.fields)
        return f"There is no such field; there are: {known}." if known else "Expected no fields."


class FilterQuery(Asked):
    """Which instances; all that is given must hold."""

    runtime_status = serializers.ListField(
        child=Choice(choices=[each.value for each in RuntimeStatus]), required=False, allow_empty=False
    )
    orchestration = Text(max_length=NAME_LENGTH, required=False)
    version = Text(max_length=VERSION_LENGTH, required=False)
    instance_id_prefix = Text(max_length=INSTANCE_ID_LENGTH, required=False)
    parent = Text(max_length=INSTANCE_ID_LENGTH, required=False, help_text="Instance id; its direct children.")
    has_parent = serializers.BooleanField(required=False, help_text="True for children, false for roots.")
    created_after = Moment(required=False)
    created_before = Moment(required=False)
    completed_after = Moment(required=False)
    completed_before = Moment(required=False)


class ListQuery(FilterQuery):
    limit = Whole(min_value=1, max_value=LARGEST_PAGE, default=PAGE_SIZE)
    cursor = Text(max_length=20, required=False)


def filter_of(given: Mapping[str, Any]) -> InstanceFilter:
    """Return the filter that was asked for."""
    names = FilterQuery().fields
    return InstanceFilter(**{name: value for name, value in given.items() if name in names})


class StatusQuery(Asked):
    wait = Whole(
        required=False,
        help_text=f"Seconds to wait for another revision than `since`, {LONGEST_WAIT} at most. The header "
        f"`Prefer: wait=20` says the same.",
    )
    since = Whole(
        required=False,
        max_value=2**63 - 1,
        help_text="The revision seen last. Without it, the one of `If-None-Match`; without both, there is no wait.",
    )


class ChangesQuery(Asked):
    since = Text(max_length=8_000, required=False, help_text="The position of the message seen last, as Last-Event-ID.")
    after = Text(max_length=50, required=False, help_text="Execution and seq of the event seen last, for example 1.31.")
    history = serializers.BooleanField(default=False, help_text="Also events; needs the right to inspect.")
    kv = serializers.BooleanField(default=False, help_text="Also KV entries; needs the right to payloads.")
    streams = Text(
        max_length=8_000,
        required=False,
        help_text='Also items of streams, as JSON: {"words": 41} for what comes after 41, {"words": null} for all.',
    )


class HistoryQuery(Asked):
    execution = Whole(min_value=1, required=False, help_text="By default the current one.")
    after = Whole(default=0, help_text="Only events with a higher seq.")
    limit = Whole(min_value=1, max_value=1_000, default=200)


class DeleteQuery(Asked):
    force = serializers.BooleanField(
        default=False, help_text="Also where something in its tree has not finished; needs the right to terminate."
    )


class NothingAsked(Asked):
    """No fields."""


class StartRequest(Asked):
    orchestration = Text(max_length=NAME_LENGTH)
    input = Anything(required=False, help_text="An object by parameter, or the first argument.")
    instance_id = Text(
        max_length=INSTANCE_ID_LENGTH,
        required=False,
        help_text="Or in the header Idempotency-Key. A new one is made where there is none.",
    )
    version = Text(max_length=VERSION_LENGTH, required=False, help_text="By default the latest.")
    start_at = Moment(required=False)
    delay_ms = Whole(required=False)


class EventRequest(Asked):
    name = Text(max_length=NAME_LENGTH)
    data = Anything(required=False)


class MessageRequest(Asked):
    data = Anything(required=False)


class ItemsQuery(Asked):
    after = Whole(
        required=False,
        max_value=LARGEST_POSITION,
        help_text="The position of the last item seen; by default it is read from the first item that is kept.",
    )
    limit = Whole(min_value=1, max_value=MOST_AT_ONCE, default=100)
    wait = Whole(
        required=False,
        help_text=f"Seconds to wait for an item where there is none, {LONGEST_WAIT} at most. The header "
        f"`Prefer: wait=20` says the same.",
    )


class ItemsRequest(Asked):
    items = serializers.ListField(child=Anything(), allow_empty=False, max_length=MOST_AT_ONCE)


class TrimRequest(Asked):
    before = Whole(required=False, max_value=LARGEST_POSITION, help_text="The position of the first item that stays.")
    keep = Whole(required=False, max_value=LARGEST_POSITION, help_text="How many of the newest items stay.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("before" in attrs) == ("keep" in attrs):
            raise serializers.ValidationError("Give either before or keep.")
        return attrs


class RequestsQuery(Asked):
    assignee = Text(max_length=NAME_LENGTH, required=False, help_text="Only those meant for them.")
    instance_id = Text(max_length=INSTANCE_ID_LENGTH, required=False)
    open = serializers.BooleanField(default=True, help_text="Only those that can still be answered.")
    before = Whole(required=False, max_value=2**63 - 1, help_text="Only those with a smaller id, for the next page.")
    limit = Whole(min_value=1, max_value=LARGEST_PAGE, default=PAGE_SIZE)


class ResultRequest(Asked):
    result = Anything(required=False, help_text="What fits the `answer` schema of the request.")


class FailureRequest(Asked):
    message = Text(max_length=LONGEST_REASON)


class ReasonRequest(Asked):
    reason = Text(max_length=LONGEST_REASON, required=False, allow_null=True)


class RetryRequest(Asked):
    from_event = Whole(
        min_value=1, required=False, help_text="The event to go back to; by default its last good point is found."
    )


class ForkRequest(RetryRequest):
    instance_id = Text(max_length=INSTANCE_ID_LENGTH, help_text="Of the new instance.")
    execution = Whole(min_value=1, required=False, help_text="To be forked; by default the current one.")


class PruneRequest(Asked):
    keep_last = Whole(required=False, help_text="How many of the newest executions stay, the current one included.")
    completed_before = Moment(required=False)


class BulkRequest(Asked):
    operation = Choice(choices=["cancel", "terminate", "suspend", "resume", "retry", "prune", "delete"])
    instance_ids = serializers.ListField(
        child=Text(max_length=INSTANCE_ID_LENGTH), required=False, allow_empty=False, max_length=BULK_LIMIT
    )
    filter = FilterQuery(required=False)
    limit = Whole(min_value=1, max_value=BULK_LIMIT, default=100, help_text="Of a filter.")
    dry_run = serializers.BooleanField(default=False)
    reason = Text(max_length=LONGEST_REASON, required=False, allow_null=True, help_text="Of cancel and terminate.")
    force = serializers.BooleanField(default=False, help_text="Of delete; also what has not finished.")
    keep_last = Whole(required=False, help_text="Of prune.")
    completed_before = Moment(required=False, help_text="Of prune.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("instance_ids" in attrs) == ("filter" in attrs):
            raise serializers.ValidationError("Give either instance_ids or a filter.")
        return attrs


def prune_options(given: Mapping[str, Any]) -> PruneOptions:
    """Return which executions a prune was asked to remove."""
    return PruneOptions(keep_last=given.get("keep_last"), completed_before=given.get("completed_before"))
