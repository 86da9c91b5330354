"""What cannot be done is refused by its own error, at the call, with what to do; and nothing is half-written.

Wrong settings are refused by system checks, see `tests/registry/test_checks.py`; wrong options of the worker by its
command, see `tests/worker/test_command.py`.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from django.db import transaction

from django_durable import (
    ActivityError,
    IllegalTransition,
    InstanceAlreadyExists,
    InstanceNotFound,
    InvalidArgument,
    LimitExceeded,
    NotRegistered,
    PayloadError,
    WaitInsideTransaction,
)
from django_durable.client import InstanceFilter, PruneOptions
from django_durable.registry import Registry
from django_durable.testing import Durable

from .measures import row_counts

TOO_LONG = "x" * 513
A_CENTURY_MORE = timedelta(days=40_000)


@pytest.fixture
def client(durable, registry):
    """Return a client of a registry with one orchestration, of which one instance has ended."""

    @registry.orchestration("adds")
    def adds(ctx, left: int, right: int = 1) -> int:
        return left + right
        yield

    durable.client.start_orchestration("ended", "adds", 1)
    durable.run()
    return durable.client


@pytest.fixture
def nothing_written(client):
    """Check that the test has left every table as it was."""
    before = row_counts()
    yield
    assert row_counts() == before


BY_ID = {
    "cancel_instance": (),
    "terminate_instance": (),
    "suspend_instance": (),
    "resume_instance": (),
    "raise_event": ("name",),
    "enqueue_event": ("queue",),
    "get_status": (),
    "get_output": (),
    "wait_for_orchestration": (),
    "wait_for_output": (),
    "wait_for_status_change": (),
    "get_kv_value": ("key",),
    "get_kv_all_values": (),
    "wait_for_kv_value": ("key",),
    "get_kv_payload": ("key",),
    "get_kv_payloads": (),
    "read_spans": (),
    "export_trace": (),
    "verify_instance": (),
    "get_status_record": (),
    "wait_for_revision": (1,),
    "get_instance_info": (),
    "get_instance_tree": (),
    "list_executions": (),
    "get_execution_info": (),
    "read_checkpoint": (),
    "read_execution_history": (),
    "get_orchestration_stats": (),
    "complete_promise": ("promise",),
    "fail_promise": ("promise", "no"),
    "get_promise": ("promise",),
    "list_streams": (),
    "read_stream": ("orders",),
    "read_stream_record": ("orders",),
    "send_to_stream": ("orders", 1),
    "close_stream": ("orders",),
    "item_type": ("orders",),
    "retry_instance": (),
    "fork_instance": ("copy",),
    "delete_instance": (),
    "prune_executions": (),
}
"""Every method that takes the id of an instance, with what else it needs."""


@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize("method", BY_ID)
def test_an_unknown_instance_is_not_found(client, method):
    with pytest.raises(InstanceNotFound) as caught:
        getattr(client, method)("nobody", *BY_ID[method])
    assert str(caught.value) == (
        "There is no instance 'nobody'. Check the id, or whether the instance was deleted or its start rolled back."
    )


@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize("method", BY_ID)
@pytest.mark.parametrize("instance_id", ["", TOO_LONG, None, 7, "a\x00b", "\ud800"])
def test_an_id_that_no_instance_can_have_is_refused(client, method, instance_id):
    with pytest.raises(InvalidArgument, match="The instance id is .*, expected"):
        getattr(client, method)(instance_id, *BY_ID[method])


def test_the_methods_that_take_an_id_are_all_here(client):
    import inspect

    own = {
        name
        for name, method in inspect.getmembers(client, inspect.ismethod)
        if not name.startswith(("_", "a")) and "instance_id" in inspect.signature(method).parameters
    }
    assert own - {"start_orchestration", "start_orchestration_versioned", "start_definition"} == {
        *BY_ID,
        "get_kv_value_typed",
        "open_stream",  # It looks at nothing yet.
        "survey_items",  # By the surrogate id.
        "trim_stream",  # Needs to be told up to where, see test_stream_trims.
        "wait_for_kv_value_typed",
        "list_requests",  # A filter there.
    }


STARTS = [
    (
        ("it", "substracts", 1),
        NotRegistered,
        "No orchestration 'substracts' is registered in this process. Registered: ",
    ),
    (("it", "adds", 1, "9.9.9"), NotRegistered, "No orchestration 'adds' version '9.9.9' is registered"),
    (("", "adds", 1), InvalidArgument, "The instance id is '', expected a string of 1 to 512 characters."),
    ((TOO_LONG, "adds", 1), InvalidArgument, "expected a string of 1 to 512 characters."),
    (("a\nb", "adds", 1), InvalidArgument, "expected one without control characters"),
    (("it", "adds", object()), PayloadError, "object"),
    (("it", "adds", {"left": 1, "wrong": 2}), PayloadError, "The input of orchestration 'adds'"),
    (("it", "adds", {"left": "one", "right": 2}), PayloadError, "The argument 'left' of orchestration 'adds'"),
    (
        ("it", "adds", "one"),
        PayloadError,
        "is not a valid int: Expected `int`, got `str`. Pass what the type hint says.",
    ),
    (("it", "adds", None), PayloadError, "Expected `int`, got `null`"),
    (("it", "adds", float("nan")), PayloadError, "nan"),
    (("it", "adds", "x" * 3_000_000), PayloadError, ""),
    (("ended", "adds", 2), InstanceAlreadyExists, "Instance 'ended' already exists with another input. Use another id"),
    (("ended", "sums", 1), NotRegistered, "sums"),
]


@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize(("arguments", "error", "text"), STARTS)
def test_a_start_that_cannot_be_is_refused(client, arguments, error, text):
    instance_id, name, input, version = (*arguments, None)[:4]
    with pytest.raises(error) as caught:
        client.start_orchestration(instance_id, name, input, version=version)
    assert text in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize(
    "when",
    [{"delay": -1}, {"delay": 1.5}, {"delay": 10**19}, {"delay": A_CENTURY_MORE}, {"start_at": datetime(2026, 1, 1)}],
    ids=str,
)
def test_a_time_to_start_that_cannot_be_is_refused(client, when):
    with pytest.raises(InvalidArgument, match=rf"{next(iter(when))} is .*\."):
        client.start_orchestration("it", "adds", 1, **when)


def test_a_payload_over_the_limit_is_refused_wherever_it_goes(client, registry, durable, settings):
    settings.DJANGO_DURABLE = {"MAX_PAYLOAD_BYTES": 1024}

    @registry.activity("echo")
    def echo(size: int) -> str:
        return "x" * size

    @registry.orchestration("takes")
    def takes(ctx, value=None):
        errors = []
        try:
            ctx.schedule_activity("echo", "x" * 2000)
        except PayloadError as error:
            errors.append(str(error))
        try:
            yield ctx.schedule_activity("echo", 2000)
        except ActivityError as error:
            errors.append(error.message)
        yield ctx.wait_for_event("go")
        return errors

    client.start_orchestration("it", "takes")
    durable.run()
    before = row_counts()
    for call in (
        lambda: client.start_orchestration("big", "takes", "x" * 2000),
        lambda: client.raise_event("it", "go", "x" * 2000),
        lambda: client.enqueue_event("it", "box", "x" * 2000),
    ):
        with pytest.raises(PayloadError, match=r"2,002 .*1,024"):
            call()
    assert row_counts() == before
    client.raise_event("it", "go")
    durable.run()
    called, returned = client.get_output("it")
    assert "2,002" in called
    assert "2,002" in returned


@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda client: client.raise_event("ended", "go"), IllegalTransition, "Cannot raise event 'go' for instance"),
        (lambda client: client.enqueue_event("ended", "box"), IllegalTransition, "it is Completed, expected"),
        (lambda client: client.cancel_instance("ended"), IllegalTransition, "Cannot cancel instance 'ended'"),
        (lambda client: client.terminate_instance("ended"), IllegalTransition, "Cannot terminate instance 'ended'"),
        (lambda client: client.suspend_instance("ended"), IllegalTransition, "Cannot suspend instance 'ended'"),
        (lambda client: client.resume_instance("ended"), IllegalTransition, "Cannot resume instance 'ended'"),
        (lambda client: client.raise_event("ended", ""), InvalidArgument, "The event name is '', expected"),
        (lambda client: client.enqueue_event("ended", "x" * 256), InvalidArgument, "The queue name is"),
        (lambda client: client.get_kv_value("ended", ""), InvalidArgument, "The KV key is '', expected"),
        (lambda client: client.raise_event("ended", "go", {1, object()}), PayloadError, "The data of event 'go'"),
        (lambda client: client.wait_for_orchestration("ended", timeout=-1), InvalidArgument, "timeout is -1 ms"),
        (
            lambda client: client.wait_for_orchestration("ended", timeout=timedelta(days=1)),
            InvalidArgument,
            "the longest wait is 3,600 s",
        ),
        (lambda client: client.list_instances(limit=0), InvalidArgument, "limit is 0, expected a whole number"),
        (lambda client: client.list_instances(cursor="nonsense"), InvalidArgument, "cursor"),
        (lambda client: client.list_instances_by_status("Running "), InvalidArgument, "There is no status 'Running '"),
        (lambda client: InstanceFilter(runtime_status="NotFound"), InvalidArgument, "There is no status 'NotFound'"),
        (lambda client: InstanceFilter(completed_before=datetime(2026, 1, 1)), InvalidArgument, "an aware datetime"),
        (lambda client: PruneOptions(keep_last=-1), InvalidArgument, "keep_last"),
        (lambda client: client.get_execution_info("ended", 2), InvalidArgument, "no execution 2"),
    ],
)
def test_a_call_that_cannot_be_is_refused(client, call, error, text):
    with pytest.raises(error) as caught:
        call(client)
    assert text in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("method", ["wait_for_orchestration", "wait_for_output", "wait_for_status_change"])
def test_a_wait_that_could_not_see_its_answer_is_refused(client, method):
    with transaction.atomic():
        client.start_orchestration("it", "adds", 1)
        with pytest.raises(WaitInsideTransaction, match="Wait after the block."):
            getattr(client, method)("it")


# In orchestrations: raised at the call, so that the code may handle it; nothing of it is recorded.

VERBS = {
    "an unencodable argument": (lambda ctx: ctx.schedule_activity("echo", object()), "PayloadError"),
    "a negative timer": (lambda ctx: ctx.schedule_timer(-1), "InvalidArgument"),
    "a timer of a century": (lambda ctx: ctx.schedule_timer(A_CENTURY_MORE), "InvalidArgument"),
    "an empty event name": (lambda ctx: ctx.wait_for_event(""), "InvalidArgument"),
    "a long event name": (lambda ctx: ctx.wait_for_event("x" * 256), "InvalidArgument"),
    "an empty queue name": (lambda ctx: ctx.dequeue_event(""), "InvalidArgument"),
    "an empty session": (lambda ctx: ctx.schedule_activity_on_session("echo", 1, ""), "InvalidArgument"),
    "an empty tag": (lambda ctx: ctx.schedule_activity("echo", 1).with_tag(""), "InvalidArgument"),
    "a long tag": (lambda ctx: ctx.schedule_activity("echo", 1).with_tag("x" * 257), "LimitExceeded"),
    "an empty child id": (lambda ctx: ctx.schedule_sub_orchestration_with_id("adds", "", 1), "InvalidArgument"),
    "a long child id": (lambda ctx: ctx.schedule_sub_orchestration_with_id("adds", TOO_LONG, 1), "InvalidArgument"),
    "an empty detached id": (lambda ctx: ctx.start_orchestration("adds", "", 1), "InvalidArgument"),
    "an unencodable status": (lambda ctx: ctx.set_custom_status(object()), "PayloadError"),
    "an unencodable value": (lambda ctx: ctx.set_kv_value("key", object()), "PayloadError"),
    "an empty key": (lambda ctx: ctx.set_kv_value("", 1), "InvalidArgument"),
    "a long key": (lambda ctx: ctx.set_kv_value("x" * 256, 1), "InvalidArgument"),
    "a cutoff that is no time": (lambda ctx: ctx.prune_kv_values_updated_before("now"), "InvalidArgument"),
    "a policy that cannot be": (
        lambda ctx: ctx.schedule_activity_with_retry("echo", 1, {"tries": 3}),
        "InvalidArgument",
    ),
    "a race of nothing": (lambda ctx: ctx.race(), "InvalidArgument"),
    "an empty patch id": (lambda ctx: ctx.patched(""), "InvalidArgument"),
}
COMMANDLESS = {"an empty tag", "a long tag"}
"""Refused when the command was issued already: the activity runs as if the refinement had not been asked for."""


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_with_bad_arguments_raises_into_the_code_and_records_nothing(client, registry, durable, name):
    verb, expected = VERBS[name]

    @registry.activity("echo")
    def echo(value=None):
        return value

    @registry.orchestration("tries")
    def tries(ctx):
        try:
            verb(ctx)
        except (InvalidArgument, LimitExceeded, PayloadError) as error:
            return [type(error).__name__, str(error)]
        yield

    client.start_orchestration("it", "tries")
    durable.run()
    error, message = client.get_output("it")
    assert error == expected
    assert message.endswith(".")
    recorded = [event.kind for event in client.read_execution_history("it")]
    assert recorded in (
        ["OrchestrationStarted", "OrchestrationCompleted"],
        ["OrchestrationStarted", "ActivityScheduled", "OrchestrationCompleted"][: 3 if name in COMMANDLESS else 0],
    )


@pytest.mark.parametrize("found", [7, None, "text", [], object()], ids=["int", "None", "text", "list", "object"])
@pytest.mark.parametrize("style", ["generator", "async"])
def test_waiting_for_something_that_is_no_future_raises_into_the_code(client, registry, durable, style, found):
    if style == "generator":

        @registry.orchestration("waits")
        def waits(ctx):
            try:
                yield found
            except TypeError as error:
                return [type(error).__name__, str(error)]

    else:

        @registry.orchestration("waits")
        async def waits(ctx):
            try:
                await asyncio.gather(ctx.utc_now(), found)
            except TypeError as error:
                return [type(error).__name__, str(error)]

    client.start_orchestration("it", "waits")
    durable.run()
    error, message = client.get_output("it")
    if style == "generator":
        assert error == "NotAwaitable"
        assert "expected a future. Wait for what a ctx verb returns" in message


@pytest.mark.parametrize("value", [object(), float("inf"), {1: object()}], ids=["object", "inf", "deep"])
def test_an_output_that_cannot_be_encoded_fails_the_instance_with_the_reason(client, registry, durable, value):
    @registry.orchestration("returns")
    def returns(ctx):
        ctx.set_kv_value("before", 1)
        return value
        yield

    client.start_orchestration("it", "returns")
    durable.run()
    status = client.get_status("it")
    assert status.runtime_status == "Failed"
    assert status.error.error_type.endswith("PayloadError")
    assert "returns" in status.error.message


def test_a_result_that_cannot_be_encoded_fails_the_activity_with_the_reason(client, registry, durable):
    @registry.activity("makes")
    def makes():
        return object()

    @registry.orchestration("asks")
    def asks(ctx):
        try:
            yield ctx.schedule_activity("makes")
        except ActivityError as error:
            return [error.error_type.rpartition(".")[2], error.message]

    client.start_orchestration("it", "asks")
    durable.run()
    error, message = client.get_output("it")
    assert error == "PayloadError"
    assert "makes" in message


def test_an_input_that_the_code_no_longer_takes_fails_the_instance_with_the_reason(client, durable):
    """The hints changed between the start and the first turn."""
    client.start_orchestration("it", "adds", 1)
    changed = Registry()

    @changed.orchestration("adds")
    def adds(ctx, left: list[int]):
        return left
        yield

    worker = Durable(changed)
    worker.run()
    worker.close()
    status = client.get_status("it")
    assert status.runtime_status == "Failed"
    assert "The input of orchestration 'adds' is not a valid list" in status.error.message
