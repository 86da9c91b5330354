"""What can be asked of instances over REST, and what the answers are."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_durable.engine.errors import InstanceNotFound

from .conftest import address


@pytest.fixture
def waiting(durable) -> str:
    durable.client.start_orchestration("order-7", "orders.waits")
    durable.run()
    return "order-7"


# Starting.


def test_a_start_is_accepted_and_tells_where_its_status_is(api, durable) -> None:
    body = {"orchestration": "orders.doubles", "input": {"number": 21}, "instance_id": "order-7"}

    answer = api.post("/durable/instances/", body, format="json")

    assert answer.status_code == 202
    assert answer["Location"] == "/durable/instances/order-7/status/"
    assert answer["Retry-After"] == "1"
    assert answer.json()["created"] is True
    assert answer.json()["instance"]["runtime_status"] == "Pending"
    durable.run()
    status = api.get(answer["Location"]).json()
    assert status["runtime_status"] == "Completed"
    assert status["done"] is True
    assert status["output"] == {"doubled": 42, "label": ""}
    assert status["custom_status"] == {"step": "doubling"}


def test_a_start_without_an_id_makes_one(api, durable) -> None:
    answer = api.post("/durable/instances/", {"orchestration": "orders.doubles", "input": 1}, format="json")

    assert durable.client.get_status(answer.json()["instance_id"]).runtime_status == "Pending"


@pytest.mark.parametrize("key", ["order-7", '"order-7"'])
def test_the_idempotency_key_is_the_instance_id(api, durable, key) -> None:
    body = {"orchestration": "orders.doubles", "input": 1}

    answers = [api.post("/durable/instances/", body, format="json", HTTP_IDEMPOTENCY_KEY=key) for _ in range(2)]

    assert [each.status_code for each in answers] == [202, 200]
    assert [each.json()["created"] for each in answers] == [True, False]
    assert {each["Location"] for each in answers} == {"/durable/instances/order-7/status/"}
    assert durable.client.list_all_instances() == ["order-7"]


def test_a_start_with_another_input_is_a_conflict(api, durable) -> None:
    body = {"orchestration": "orders.doubles", "input": 1, "instance_id": "order-7"}
    api.post("/durable/instances/", body, format="json")

    answer = api.post("/durable/instances/", {**body, "input": 2}, format="json")

    assert answer.status_code == 409
    assert answer["Content-Type"].startswith("application/problem+json")
    assert answer.json()["code"] == "instance_already_exists"
    assert answer.json()["instance_id"] == "order-7"


def test_an_id_in_the_body_that_differs_from_the_key_is_refused(api, durable) -> None:
    body = {"orchestration": "orders.doubles", "input": 1, "instance_id": "order-7"}

    answer = api.post("/durable/instances/", body, format="json", HTTP_IDEMPOTENCY_KEY="order-8")

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert durable.client.list_all_instances() == []


def test_a_start_may_be_delayed_and_of_an_older_version(api, durable) -> None:
    body = {"orchestration": "orders.old", "version": "1.0.0", "instance_id": "order-7", "delay_ms": 60_000}

    assert api.post("/durable/instances/", body, format="json").status_code == 202

    durable.run()
    assert durable.client.get_status("order-7").runtime_status == "Pending"
    durable.advance(timedelta(minutes=1))
    assert durable.client.get_output("order-7") == 1


# Listing.


def test_the_list_is_paged_newest_first_without_gaps_or_repeats(api, durable) -> None:
    for number in range(5):
        durable.client.start_orchestration(f"order-{number}", "orders.doubles", number)

    path, seen = "/durable/instances/?limit=2", []
    while path:
        page = api.get(path).json()
        seen.append([row["instance_id"] for row in page["results"]])
        path = page["next"]

    assert seen == [["order-4", "order-3"], ["order-2", "order-1"], ["order-0"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("runtime_status=Completed", ["order-1"]),
        ("runtime_status=Completed&runtime_status=Failed", ["order-3", "order-1"]),
        ("orchestration=orders.fails", ["order-3"]),
        ("instance_id_prefix=order-2", ["order-2-child", "order-2"]),
        ("has_parent=true", ["order-2-child"]),
        ("has_parent=false&limit=1", ["order-3"]),
        ("parent=order-2", ["order-2-child"]),
        ("version=9.9", []),
        ("created_after=2999-01-01T00:00:00Z", []),
        ("created_before=2999-01-01T00:00:00Z&orchestration=orders.doubles", ["order-1"]),
        ("completed_after=2000-01-01T00:00:00Z&completed_before=2999-01-01T00:00:00Z", ["order-3", "order-1"]),
    ],
)
def test_the_list_can_be_filtered(api, durable, query, expected) -> None:
    durable.client.start_orchestration("order-1", "orders.doubles", 1)
    durable.client.start_orchestration("order-2", "orders.parent")
    durable.client.start_orchestration("order-3", "orders.fails")
    durable.run()

    answer = api.get(f"/durable/instances/?{query}")

    assert answer.status_code == 200, answer.content
    assert [row["instance_id"] for row in answer.json()["results"]] == expected


@pytest.mark.parametrize("rows", [1, 7])
def test_the_list_is_one_query_however_long_it_is(api, durable, django_assert_num_queries, rows) -> None:
    for number in range(rows):
        durable.client.start_orchestration(f"order-{number}", "orders.doubles", number)

    with django_assert_num_queries(1):
        answer = api.get("/durable/instances/")

    assert len(answer.json()["results"]) == rows


# Looking.


def test_a_detail_shows_payloads_and_is_one_query(api, durable, waiting, django_assert_num_queries) -> None:
    durable.client.start_orchestration("order-8", "orders.doubles", {"number": 2, "label": "<b>"})
    durable.run()

    with django_assert_num_queries(1):
        found = api.get("/durable/instances/order-8/").json()

    assert found["input"] == {"number": 2, "label": "<b>"}
    assert found["output"] == {"doubled": 4, "label": "<b>"}
    assert found["error"] is None
    assert found["parent_instance_id"] is None


def test_a_failure_is_shown_with_its_type(api, durable) -> None:
    durable.client.start_orchestration("order-7", "orders.fails")
    durable.run()

    error = api.get("/durable/instances/order-7/").json()["error"]

    assert (error["error_type"], error["message"]) == ("ValueError", "the secret is <b>bold</b>")


def test_a_history_is_read_in_pages(api, durable, waiting) -> None:
    whole = api.get("/durable/instances/order-7/history/").json()["results"]
    path, seen = "/durable/instances/order-7/history/?limit=2", []
    while path:
        page = api.get(path).json()
        seen += page["results"]
        path = page["next"]

    assert seen == whole
    assert [event["seq"] for event in whole] == list(range(1, len(whole) + 1))
    assert whole[0]["kind"] == "OrchestrationStarted"
    assert whole[0]["data"]["instance_id"] == "order-7"


def test_executions_are_listed_and_looked_at(api, durable) -> None:
    durable.client.start_orchestration("order-7", "orders.repeats", 2)
    durable.run()

    rows = api.get("/durable/instances/order-7/executions/").json()["results"]

    assert [(row["number"], row["execution_status"]) for row in rows] == [
        (3, "Running"),
        (2, "ContinuedAsNew"),
        (1, "ContinuedAsNew"),
    ]
    assert api.get("/durable/instances/order-7/executions/1/").json()["input"] == 2
    assert api.get("/durable/instances/order-7/executions/4/").status_code == 404
    events = api.get("/durable/instances/order-7/history/?execution=1").json()["results"]
    assert events[-1]["kind"] == "OrchestrationContinuedAsNew"


def test_a_tree_is_read_from_anywhere_in_it(api, durable) -> None:
    durable.client.start_orchestration("order-7", "orders.parent")
    durable.run()

    def tree(of: str) -> list[str]:
        return [row["instance_id"] for row in api.get(address(of, "tree/")).json()["results"]]

    assert tree("order-7") == ["order-7", "order-7-child"]
    assert tree("order-7-child") == ["order-7-child"]


def test_kv_entries_are_read(api, durable, waiting) -> None:
    entries = {"secret": {"card": "4111"}, "status": "a key like an address"}

    assert api.get("/durable/instances/order-7/kv/").json() == {"values": entries}
    for key, value in entries.items():
        assert api.get(f"/durable/instances/order-7/kv/{key}/").json() == {"key": key, "value": value}
    assert api.get("/durable/instances/order-7/kv/other/").status_code == 404


# Changing.


def test_events_and_messages_reach_the_instance(api, durable, waiting) -> None:
    raised = api.post("/durable/instances/order-7/events/", {"name": "go", "data": {"by": 3}}, format="json")
    sent = api.post("/durable/instances/order-7/queues/messages/messages/", {"data": "hello"}, format="json")

    durable.run()
    assert [raised.status_code, sent.status_code] == [202, 202]
    assert raised["Location"] == "/durable/instances/order-7/status/"
    assert durable.client.get_output("order-7") == {"data": {"by": 3}, "message": "hello"}


def test_an_instance_is_suspended_resumed_and_canceled(api, durable, waiting) -> None:
    assert api.post("/durable/instances/order-7/suspend/").json()["instance"]["runtime_status"] == "Suspended"
    assert api.post("/durable/instances/order-7/resume/").json()["instance"]["runtime_status"] == "Running"
    answer = api.post("/durable/instances/order-7/cancel/", {"reason": "sold out"}, format="json")

    durable.run()
    assert answer.status_code == 202
    assert durable.client.get_status("order-7").runtime_status == "Canceled"


def test_an_instance_is_terminated_with_a_reason(api, durable, waiting) -> None:
    answer = api.post("/durable/instances/order-7/terminate/", {"reason": "lost"}, format="json")

    assert answer.status_code == 202
    assert answer.json()["instance"]["runtime_status"] == "Terminated"
    assert answer.json()["instance"]["error"]["message"] == "The instance was terminated: lost"


@pytest.mark.parametrize("move", ["cancel", "terminate", "suspend", "resume", "retry"])
def test_a_move_that_the_status_does_not_allow_is_a_conflict_that_says_why(api, durable, move) -> None:
    durable.client.start_orchestration("order-7", "orders.doubles", 1)
    durable.run()

    answer = api.post(f"/durable/instances/order-7/{move}/")

    assert answer.status_code == 409
    assert (answer.json()["code"], answer.json()["found"]) == ("illegal_transition", "Completed")
    assert "Completed" in answer.json()["detail"]
    assert "Completed" not in answer.json()["expected"]


def test_an_instance_is_deleted_when_it_has_finished_or_by_force(api, durable, waiting) -> None:
    refused = api.delete("/durable/instances/order-7/")
    forced = api.delete("/durable/instances/order-7/?force=true")

    assert (refused.status_code, refused.json()["code"]) == (409, "illegal_transition")
    assert (forced.status_code, forced.json()["instances_deleted"]) == (200, 1)
    with pytest.raises(InstanceNotFound):
        durable.client.get_status("order-7")


def test_executions_are_pruned(api, durable) -> None:
    durable.client.start_orchestration("order-7", "orders.repeats", 3)
    durable.run()

    answer = api.post("/durable/instances/order-7/prune/", {"keep_last": 2}, format="json")

    assert (answer.status_code, answer.json()["executions_deleted"]) == (200, 2)
    assert durable.client.list_executions("order-7") == [3, 4]


def test_a_change_costs_a_few_queries(api, waiting) -> None:
    with CaptureQueriesContext(connection) as queries:
        api.post("/durable/instances/order-7/events/", {"name": "go"}, format="json")

    # Two to look, before and after, the rest to send.
    assert len(queries) <= 8


def test_a_failed_instance_is_retried_and_shows_its_new_execution(api, durable) -> None:
    durable.client.start_orchestration("order-7", "orders.fails")
    durable.run()

    answer = api.post("/durable/instances/order-7/retry/", {}, format="json")

    assert answer.status_code == 202
    assert answer.json()["instance"]["runtime_status"] == "Running"
    assert durable.client.list_executions("order-7") == [1, 2]


def test_a_retry_from_an_event_that_is_none_to_go_back_to_says_which_is(api, durable) -> None:
    durable.client.start_orchestration("order-7", "orders.fails")
    durable.run()

    answer = api.post("/durable/instances/order-7/retry/", {"from_event": 2}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_argument")
    assert "Go back to event 1." in answer.json()["detail"]


def test_a_fork_is_answered_with_the_new_instance(api, durable, waiting) -> None:
    fork = {"instance_id": "order-8", "from_event": 1}
    answer = api.post("/durable/instances/order-7/fork/", fork, format="json")
    again = api.post("/durable/instances/order-7/fork/", fork, format="json")

    assert (answer.status_code, answer["Location"]) == (202, "/durable/instances/order-8/status/")
    assert answer.json()["instance"]["instance_id"] == "order-8"
    assert (again.status_code, again.json()["code"]) == (409, "instance_already_exists")
    durable.run()
    assert durable.client.get_status("order-8").custom_status == {"step": "waiting"}
