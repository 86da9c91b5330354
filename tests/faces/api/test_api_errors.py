"""Whatever is sent, the answer is a problem that says what is wrong, and the next request is served."""

from __future__ import annotations

import json
from io import BytesIO

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from django_durable.api import problems
from django_durable.api.parsers import SLACK, BodyTooLarge, BoundedJSONParser
from django_durable.engine import errors

START = "/durable/instances/"
ORDER = "/durable/instances/order-7/"


@pytest.fixture
def waiting(durable) -> None:
    durable.client.start_orchestration("order-7", "orders.waits")
    durable.run()


def check(answer, status: int, code: str) -> dict:
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"].startswith("application/problem+json")
    body = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] == "about:blank"
    assert all((body["detail"], body["title"]))
    return body


def post(api, path: str, raw: bytes | str):
    return api.generic("POST", path, raw, content_type="application/json")


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"nonsense",
        b"{'a': 1}",
        b'{"a": NaN}',
        b"[1, 2",
        b"\xff\xfe",
        b'{"a": "\xff"}',
        b"[" * 100_000,
        b"9" * 5000,
        b'{"name": "a", "name": "b"}',
        b'{"data": [{"x": 1, "x": 1}]}',
    ],
)
def test_a_body_that_is_not_json_is_refused(api, waiting, raw) -> None:
    for path in (START, f"{ORDER}events/", f"{ORDER}cancel/", "/durable/bulk/"):
        check(post(api, path, raw), 400, "parse_error")
    assert api.get(f"{ORDER}status/").status_code == 200


@pytest.mark.parametrize("raw", [b"[]", b"1", b'"text"', b'""', b"true", b"null"])
def test_a_body_that_is_no_object_is_refused(api, waiting, raw) -> None:
    for path in (START, f"{ORDER}events/", f"{ORDER}cancel/", f"{ORDER}prune/", "/durable/bulk/"):
        check(post(api, path, raw), 400, "invalid")


def test_a_body_that_is_too_large_is_refused_before_it_is_read(api, waiting, settings) -> None:
    settings.DJANGO_DURABLE = {"MAX_PAYLOAD_BYTES": 1024}
    large = json.dumps({"name": "go", "data": "x" * (1024 + SLACK)})

    check(post(api, f"{ORDER}events/", large), 413, "body_too_large")


def test_a_body_without_a_length_is_not_taken_for_an_empty_one(api, durable, waiting) -> None:
    answer = api.generic(
        "POST",
        f"{ORDER}cancel/",
        b'{"reason": "sold out"}',
        content_type="application/json",
        CONTENT_LENGTH="",
        HTTP_TRANSFER_ENCODING="chunked",
    )

    check(answer, 411, "length_required")


def test_a_length_that_is_not_true_does_not_make_the_parser_read_more(settings) -> None:
    settings.DJANGO_DURABLE = {"MAX_PAYLOAD_BYTES": 1024}

    with pytest.raises(BodyTooLarge):
        BoundedJSONParser().parse(BytesIO(b" " * (1024 + SLACK + 1)))


def test_a_payload_over_the_limit_is_refused(api, waiting, settings) -> None:
    settings.DJANGO_DURABLE = {"MAX_PAYLOAD_BYTES": 1024}

    answer = api.post(f"{ORDER}events/", {"name": "go", "data": "x" * 2000}, format="json")

    assert "the limit is 1,024" in check(answer, 400, "payload_error")["detail"]


def test_other_media_types_are_refused(api, waiting) -> None:
    check(api.post(f"{ORDER}events/", {"name": "go"}, format="multipart"), 415, "unsupported_media_type")
    check(api.get(ORDER, HTTP_ACCEPT="application/xml"), 406, "not_acceptable")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("put", START),
        ("delete", START),
        ("post", ORDER),
        ("patch", ORDER),
        ("post", f"{ORDER}status/"),
        ("get", f"{ORDER}events/"),
        ("get", f"{ORDER}cancel/"),
        ("delete", f"{ORDER}history/"),
        ("get", "/durable/bulk/"),
        ("post", "/durable/workers/"),
    ],
)
def test_a_wrong_method_is_refused(api, waiting, method, path) -> None:
    answer = getattr(api, method)(path)

    check(answer, 405, "method_not_allowed")
    assert answer["Allow"]


@pytest.mark.parametrize("rest", ["", "status/", "history/", "tree/", "executions/", "executions/1/", "kv/", "kv/a/"])
def test_an_unknown_instance_is_not_found(api, durable, rest) -> None:
    body = check(api.get(f"/durable/instances/nothing/{rest}"), 404, "instance_not_found")

    assert body["instance_id"] == "nothing"


@pytest.mark.parametrize("instance_id", ["a%2500b", "x" * 513])
@pytest.mark.parametrize("rest", ["", "status/", "history/", "kv/"])
def test_an_id_that_cannot_be_is_refused(api, durable, instance_id, rest) -> None:
    check(api.get(f"/durable/instances/{instance_id}/{rest}"), 400, "invalid_argument")


GOOD = {"orchestration": "orders.doubles", "input": 1, "instance_id": "order-8"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "orchestration"),
        ({**GOOD, "orchestration": 7}, "orchestration"),
        ({**GOOD, "orchestration": None}, "orchestration"),
        ({**GOOD, "instance_id": 7}, "instance_id"),
        ({**GOOD, "instance_id": ""}, "instance_id"),
        ({**GOOD, "instance_id": ["a"]}, "instance_id"),
        ({**GOOD, "instance_id": "a\x00"}, "instance_id"),
        ({**GOOD, "instance_id": "\ud800"}, "instance_id"),
        ({**GOOD, "instance_id": "x" * 513}, "instance_id"),
        ({**GOOD, "version": 1.0}, "version"),
        ({**GOOD, "start_at": "tomorrow"}, "start_at"),
        ({**GOOD, "start_at": "0001-01-01T00:00:00+14:00"}, "start_at"),
        ({**GOOD, "start_at": "9999-12-31T23:59:59-12:00"}, "start_at"),
        ({**GOOD, "start_at": 7}, "start_at"),
        ({**GOOD, "delay_ms": -1}, "delay_ms"),
        ({**GOOD, "delay_ms": 1.5}, "delay_ms"),
        ({**GOOD, "delay_ms": True}, "delay_ms"),
        ({**GOOD, "delay_ms": 10**30}, "delay_ms"),
        ({**GOOD, "status": "Running"}, "status"),
    ],
)
def test_a_wrong_field_of_a_start_is_named(api, durable, body, field) -> None:
    answer = post(api, START, json.dumps(body))

    assert [each["field"] for each in check(answer, 400, "invalid")["errors"]] == [field]
    assert durable.client.list_all_instances() == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({**GOOD, "orchestration": "orders.missing"}, "not_registered"),
        ({**GOOD, "version": "9.9"}, "not_registered"),
        ({**GOOD, "instance_id": "a\nb"}, "invalid_argument"),
        ({**GOOD, "start_at": "2030-01-01T00:00:00Z", "delay_ms": 5}, "invalid_argument"),
        ({**GOOD, "input": "\ud800"}, "payload_error"),
        ({**GOOD, "orchestration": "orders.waits", "input": {"no": "argument"}}, "payload_error"),
    ],
)
def test_a_start_that_the_client_refuses_says_why(api, durable, body, code) -> None:
    check(post(api, START, json.dumps(body)), 400, code)
    assert durable.client.list_all_instances() == []


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (f"{START}?runtime_status=Sleeping", "runtime_status.0"),
        (f"{START}?status=Running", "status"),
        (f"{START}?limit=0", "limit"),
        (f"{START}?limit=501", "limit"),
        (f"{START}?limit=many", "limit"),
        (f"{START}?has_parent=perhaps", "has_parent"),
        (f"{START}?created_after=0001-01-01T00:00:00%2B14:00", "created_after"),
        (f"{START}?orchestration=%00", "orchestration"),
        (f"{START}?cursor={'9' * 30}", "cursor"),
        (f"{START}?limit=1&limit=2", "limit"),
        (f"{ORDER}status/?wait=1&wait=20", "wait"),
        (f"{ORDER}history/?execution=0", "execution"),
        (f"{ORDER}history/?after=99999999999999999999", "after"),
        (f"{ORDER}status/?wait=long", "wait"),
        (f"{ORDER}status/?since=-1", "since"),
        (f"{ORDER}status/?since={10**30}", "since"),
    ],
)
def test_a_wrong_query_parameter_is_named(api, waiting, path, field) -> None:
    assert [each["field"] for each in check(api.get(path), 400, "invalid")["errors"]] == [field]


def test_a_cursor_of_nothing_is_refused(api, durable) -> None:
    body = check(api.get(f"{START}?cursor=abc"), 400, "invalid_argument")

    assert body["detail"] == "The cursor is 'abc', expected one that came with another page."


def test_an_execution_that_is_not_there_is_told(api, waiting) -> None:
    check(api.get(f"{ORDER}history/?execution=9"), 400, "invalid_argument")
    check(api.get(f"{ORDER}executions/99999999999999999999/"), 404, "not_found")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("events/", {}, "name"),
        ("events/", {"name": "go", "payload": 1}, "payload"),
        ("events/", {"name": "x" * 300}, "name"),
        ("queues/q/messages/", {"name": "go"}, "name"),
        ("cancel/", {"reason": 7}, "reason"),
        ("cancel/", {"reason": "a\x00"}, "reason"),
        ("terminate/", {"reason": "x" * 1001}, "reason"),
        ("suspend/", {"reason": "why"}, "reason"),
        ("prune/", {"keep_last": -1}, "keep_last"),
        ("prune/", {"keep_last": "some"}, "keep_last"),
    ],
)
def test_a_wrong_field_of_a_change_is_named(api, waiting, path, body, field) -> None:
    answer = api.post(f"{ORDER}{path}", body, format="json")

    assert [each["field"] for each in check(answer, 400, "invalid")["errors"]] == [field]


def test_a_queue_name_that_is_too_long_is_refused(api, waiting) -> None:
    check(api.post(f"{ORDER}queues/{'x' * 300}/messages/", {"data": 1}, format="json"), 400, "invalid_argument")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("9999-12-31T23:59:59-12:00"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = ["orchestration", "input", "instance_id", "version", "start_at", "delay_ms", "name", "data", "reason", "filter"]
NAMES += ["operation", "instance_ids", "limit", "dry_run", "keep_last", "completed_before", "force"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5), path=st.sampled_from([
    START, f"{ORDER}events/", f"{ORDER}queues/q/messages/", f"{ORDER}cancel/", f"{ORDER}prune/", "/durable/bulk/",
]))  # fmt: skip
def test_no_body_makes_the_server_fail(api, waiting, body, path) -> None:
    api.raise_request_exception = True

    assert post(api, path, json.dumps(body)).status_code < 500


def kinds(base: type) -> list[type]:
    return [each for child in base.__subclasses__() for each in (child, *kinds(child))]


# Raised inside of orchestration code, never to callers.
INSIDE = errors.SignalInterrupt


@pytest.mark.parametrize(
    "kind", [each for each in kinds(errors.DurableError) if each.__module__ == errors.__name__ and each is not INSIDE]
)
def test_every_error_has_a_status_of_a_caller_and_a_code(kind) -> None:
    status, code = next(problems.CODES[each] for each in kind.__mro__ if each in problems.CODES)

    assert 400 <= status < 500
    assert code.isidentifier()


def test_codes_are_stable() -> None:
    """Programs rely on them: one is never renamed."""
    assert {kind.__name__: code for kind, (_, code) in problems.CODES.items()} == {
        "InstanceNotFound": "instance_not_found",
        "InstanceAlreadyExists": "instance_already_exists",
        "IllegalTransition": "illegal_transition",
        "PromiseNotFound": "promise_not_found",
        "PromiseSettled": "promise_settled",
        "StreamClosed": "stream_closed",
        "StreamTrimmed": "stream_trimmed",
        "InvalidArgument": "invalid_argument",
        "LimitExceeded": "limit_exceeded",
        "WaitTimeout": "wait_timeout",
        "WaitInsideTransaction": "wait_inside_transaction",
        "WrongDatabase": "wrong_database",
        "CallerError": "bad_call",
        "NotRegistered": "not_registered",
        "PayloadError": "payload_error",
        "NondeterminismError": "nondeterminism",
        "AuthorError": "code_error",
        "LeaseLost": "lease_lost",
        "ContentionError": "contention",
        "OrchestrationFailed": "orchestration_failed",
        "OutcomeError": "outcome_error",
    }
