"""The light status: what polling costs, and what a long poll waits for."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import AsyncClient
from rest_framework.test import APIClient

from django_durable.api import requests
from django_durable.api.views.base import DurableView
from django_durable.api.views.status import StatusView
from django_durable.client import Client
from django_durable.testing import Durable

from .orders import registry

STATUS = "/durable/instances/order-7/status/"


@pytest.fixture
def waiting(durable) -> str:
    durable.client.start_orchestration("order-7", "orders.waits")
    durable.run()
    return "order-7"


def test_a_status_is_one_query(api, waiting, django_assert_num_queries) -> None:
    with django_assert_num_queries(1):
        answer = api.get(STATUS)

    assert answer.json()["custom_status"] == {"step": "waiting"}
    assert answer.json()["runtime_status"] == "Running"
    assert answer.json()["done"] is False
    assert answer["Cache-Control"] == "no-cache, private"
    assert answer["Retry-After"] == "1"


def test_a_status_that_did_not_change_is_304_and_one_query(api, waiting, django_assert_num_queries) -> None:
    tag = api.get(STATUS)["ETag"]

    with django_assert_num_queries(1):
        answer = api.get(STATUS, HTTP_IF_NONE_MATCH=tag)

    assert (answer.status_code, answer.content) == (304, b"")
    assert (answer["ETag"], answer["Cache-Control"]) == (tag, "no-cache, private")


def test_every_change_has_another_tag(api, durable, waiting) -> None:
    tag = api.get(STATUS)["ETag"]
    durable.client.suspend_instance("order-7")

    answer = api.get(STATUS, HTTP_IF_NONE_MATCH=f'"other", {tag}')

    assert answer.status_code == 200
    assert answer["ETag"] != tag
    # A person has to do something first.
    assert answer["Retry-After"] == "10"


def test_an_instance_that_was_deleted_and_started_again_has_another_tag(api, durable, waiting) -> None:
    before = api.get(STATUS)
    durable.client.delete_instance("order-7", force=True)
    durable.client.start_orchestration("order-7", "orders.waits")
    durable.run()
    after = api.get(STATUS)

    assert before.json()["revision"] == after.json()["revision"]
    assert before["ETag"] != after["ETag"]


def test_what_is_done_asks_nobody_to_come_again(api, durable) -> None:
    durable.client.start_orchestration("order-7", "orders.doubles", 1)
    durable.run()

    answer = api.get(STATUS)

    assert answer.json()["done"] is True
    assert "Retry-After" not in answer


# Long polls. On this thread, inside the test's transaction: what would have to wait is answered at once.


def asked_to_wait(monkeypatch) -> list[timedelta]:
    """Record the waits that are asked for; each ends at once."""
    asked: list[timedelta] = []

    async def wait(instance_id, revision, timeout):
        asked.append(timeout)

    monkeypatch.setattr(DurableView.client, "await_for_revision", wait, raising=False)
    return asked


@pytest.mark.parametrize(
    ("query", "headers", "expected"),
    [
        ("?wait=20&since={revision}", {}, [20]),
        ("?wait=2000&since={revision}", {}, [requests.LONGEST_WAIT]),
        ("?wait=20", {}, []),
        ("?wait=20&since=999", {}, []),
        ("?wait=0&since={revision}", {}, []),
        ("?since={revision}", {}, []),
        ("?since={revision}", {"HTTP_PREFER": "respond-async, wait=15"}, [15]),
        ("?since={revision}", {"HTTP_PREFER": "wait=9999"}, [requests.LONGEST_WAIT]),
        ("?wait=20", {"HTTP_IF_NONE_MATCH": "{tag}"}, [20]),
        ("", {"HTTP_IF_NONE_MATCH": "{tag}", "HTTP_PREFER": "wait=20"}, [20]),
        ("?wait=20", {"HTTP_IF_NONE_MATCH": '"other"'}, []),
    ],
)
def test_a_poll_waits_where_the_caller_has_seen_the_revision(
    api, waiting, monkeypatch, query, headers, expected
) -> None:
    first = api.get(STATUS)
    revision, tag = first.json()["revision"], first["ETag"]
    asked = asked_to_wait(monkeypatch)

    answer = api.get(
        STATUS + query.format(revision=revision), **{name: text.format(tag=tag) for name, text in headers.items()}
    )

    assert answer.status_code == (304 if tag in [text.format(tag=tag) for text in headers.values()] else 200)
    assert asked == [timedelta(seconds=each) for each in expected]
    if "HTTP_PREFER" in headers:
        assert answer["Preference-Applied"] == f"wait={expected[0]}"


def test_what_is_done_is_not_waited_for(api, durable, monkeypatch) -> None:
    durable.client.start_orchestration("order-7", "orders.doubles", 1)
    durable.run()
    asked = asked_to_wait(monkeypatch)

    api.get(f"{STATUS}?wait=20&since={api.get(STATUS).json()['revision']}")

    assert asked == []


def test_in_a_test_case_with_a_transaction_a_poll_answers_at_once(api, waiting) -> None:
    revision = api.get(STATUS).json()["revision"]

    assert api.get(f"{STATUS}?wait=20&since={revision}").json()["revision"] == revision


def test_a_poll_is_throttled_once(api, waiting, monkeypatch) -> None:
    asked_to_wait(monkeypatch)
    counted = []

    class Throttle:
        def allow_request(self, request, view):
            counted.append(view)
            return True

    monkeypatch.setattr(StatusView, "throttle_classes", [Throttle])

    api.get(f"{STATUS}?wait=20&since={api.get(STATUS).json()['revision']}")

    assert len(counted) == 2


def test_a_poll_of_what_is_deleted_meanwhile_ends_as_not_found(api, durable, waiting, monkeypatch) -> None:
    revision = api.get(STATUS).json()["revision"]

    async def wait(instance_id, revision, timeout):
        await durable.client.adelete_instance("order-7", force=True)
        await durable.client.aget_status_record(instance_id)

    monkeypatch.setattr(DurableView.client, "await_for_revision", wait, raising=False)

    assert api.get(f"{STATUS}?wait=20&since={revision}").status_code == 404


def test_projects_with_a_transaction_per_request_can_poll(api, waiting, settings) -> None:
    from django.db import connection

    connection.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        assert api.get(STATUS).status_code == 200
        assert api.get("/durable/instances/order-7/").status_code == 200
        assert api.post("/durable/instances/order-7/resume/").status_code == 409
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False


# With real transactions, on the event loop.


@pytest.fixture
def committed(durable_db, monkeypatch, transactional_user):
    """An instance that waits, and who may see it; another thread may change it."""
    harness = Durable(registry)
    monkeypatch.setattr(DurableView, "client", Client(registry))
    harness.client.start_orchestration("order-7", "orders.waits")
    harness.run()
    yield harness
    harness.close()


@pytest.fixture
def transactional_user(durable_db) -> User:
    return User.objects.create_superuser("root")


def test_a_long_poll_ends_when_the_instance_changes(committed, transactional_user) -> None:
    async def scenario() -> dict:
        client = AsyncClient()
        await client.aforce_login(transactional_user)
        revision = (await client.get(STATUS)).json()["revision"]
        poll = asyncio.create_task(client.get(f"{STATUS}?wait=30&since={revision}"))
        await committed.client.asuspend_instance("order-7")
        return (await asyncio.wait_for(poll, 20)).json()

    # On this thread, as the fixtures: whatever connection it opens is theirs.
    assert async_to_sync(scenario)()["runtime_status"] == "Suspended"


def test_a_long_poll_works_without_an_event_loop(committed, transactional_user) -> None:
    client = APIClient()
    client.force_authenticate(transactional_user)
    tag = client.get(STATUS)["ETag"]

    answer = client.get(f"{STATUS}?wait=1", HTTP_IF_NONE_MATCH=tag)

    assert answer.status_code == 304
