"""Requests over REST: listed to whoever may answer, answered once."""

from __future__ import annotations

import pytest

from .conftest import address

REQUESTS = "/durable/requests/"


@pytest.fixture
def asked(durable) -> str:
    """Start `one`, which asks; return the id of its promise."""
    durable.client.start_orchestration("one", "orders.asks")
    durable.run()
    return durable.client.list_requests()[0].promise_id


def promise(promise_id: str, rest: str = "", instance_id: str = "one") -> str:
    return address(instance_id, f"promises/{promise_id}/{rest}")


def test_a_request_is_listed_with_its_question_and_the_schema_of_the_answer(api, asked):
    [row] = api.get(REQUESTS).json()["results"]
    assert (row["instance_id"], row["question"], row["assignee"], row["is_open"]) == ("one", "Ship it?", "ada", True)
    assert row["answer"]["$defs"]["Decision"]["properties"]["approved"] == {"type": "boolean"}
    assert api.get(promise(asked)).json() == row


@pytest.mark.parametrize(
    ("query", "count"),
    [("assignee=ada", 1), ("assignee=bob", 0), ("instance_id=one", 1), ("instance_id=two", 0), ("open=false", 1)],
)
def test_requests_are_filtered(api, asked, query, count):
    assert len(api.get(f"{REQUESTS}?{query}").json()["results"]) == count


def test_pages_of_requests_follow_each_other(api, durable):
    for number in range(3):
        durable.client.start_orchestration(f"i{number}", "orders.asks")
    durable.run()
    page = api.get(f"{REQUESTS}?limit=2").json()
    assert [row["instance_id"] for row in page["results"]] == ["i2", "i1"]
    rest = api.get(page["next"]).json()
    assert ([row["instance_id"] for row in rest["results"]], rest["next"]) == (["i0"], None)


def test_the_first_answer_counts_and_the_second_is_told_who_gave_it(api, durable, asked):
    answer = api.post(promise(asked, "complete/"), {"result": {"approved": True}}, format="json")
    assert answer.status_code == 202
    second = api.post(promise(asked, "complete/"), {"result": {"approved": False}}, format="json")
    assert (second.status_code, second.json()["code"]) == (409, "promise_settled")
    assert (second.json()["outcome"], second.json()["settled_by"]) == ("completed", "root")
    durable.run()
    assert durable.client.get_output("one") is True
    assert api.get(REQUESTS).json()["results"] == []


def test_a_promise_is_failed_with_a_message(api, durable, asked):
    assert api.post(promise(asked, "fail/"), {"message": "nobody knows"}, format="json").status_code == 202
    durable.run()
    assert durable.client.get_status("one").error.message == "nobody knows"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("complete/", {"result": "yes"}, 400, "invalid_argument"),
        ("complete/", {"result": {"approved": 1}}, 400, "invalid_argument"),
        ("complete/", {"answer": 1}, 400, "invalid"),
        ("fail/", {}, 400, "invalid"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(api, durable, asked, path, body, status, code):
    answer = api.post(promise(asked, path), body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert durable.client.get_promise("one", asked).is_open


def test_what_is_not_there_is_not_found(api, asked):
    for rest in ("complete/", "fail/"):
        body = {"result": 1} if rest == "complete/" else {"message": "no"}
        assert api.post(promise("nothing", rest), body, format="json").json()["code"] == "promise_not_found"
        answer = api.post(promise(asked, rest, "nobody"), body, format="json")
        assert answer.json()["code"] == "instance_not_found"


@pytest.mark.parametrize(
    ("rights", "listed", "read", "answered"),
    [
        ((), 403, 404, 404),
        (("view_instance",), 200, 403, 403),
        (("answer_promise",), 403, 200, 202),
        (("view_instance", "answer_promise"), 200, 200, 202),
    ],
)
def test_rights_are_closed(api_of, user_with, asked, rights, listed, read, answered):
    somebody = api_of(user_with(*rights))
    response = somebody.get(REQUESTS)
    assert response.status_code == listed
    if listed == 200:
        assert len(response.json()["results"]) == ("answer_promise" in rights)
    assert somebody.get(promise(asked)).status_code == read
    body = {"result": {"approved": True}}
    assert somebody.post(promise(asked, "complete/"), body, format="json").status_code == answered


def test_nobody_is_told_anything_without_logging_in(api_of, asked):
    nobody = api_of(None)
    for answer in (
        nobody.get(REQUESTS),
        nobody.get(promise(asked)),
        nobody.post(promise(asked, "complete/"), {"result": 1}, format="json"),
    ):
        assert answer.status_code in (401, 403)
