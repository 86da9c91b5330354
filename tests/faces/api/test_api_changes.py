"""Server-sent events: the messages of the websocket, resumed as browsers do, for whoever may see the instance."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import Permission, User
from django.test import AsyncClient, Client

from django_durable.api import stream

CHANGES = "/durable/instances/order-7/changes/"
MEDIA_TYPE = "text/event-stream"
PATIENCE = 30
RETRY = b"retry: 1000\n\n"


def events_in(content: bytes) -> list[dict[str, Any]]:
    """Read whole frames as a browser does; each message has its id."""
    found = []
    for frame in content.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in frame.splitlines() if not line.startswith(":"))
        if "data" in fields:
            found.append({"id": fields.get("id"), **json.loads(fields["data"])})
    return found


@pytest.fixture
def waiting(durable) -> str:
    durable.client.start_orchestration("order-7", "orders.waits")
    durable.run()
    return "order-7"


# Where a server knows no streams that last.


@pytest.fixture(autouse=True)
def patience(monkeypatch) -> None:
    """Let an answer wait for its news however slow the machine is."""
    monkeypatch.setattr(stream, "SHORT", timedelta(seconds=PATIENCE))


def test_without_streams_the_answer_ends_with_the_first_news(api, waiting) -> None:
    answer = api.get(CHANGES, HTTP_ACCEPT=MEDIA_TYPE)

    assert (answer.status_code, answer["Content-Type"]) == (200, MEDIA_TYPE)
    assert answer["Cache-Control"] == "no-cache, private"
    assert answer.content.startswith(RETRY)
    (snapshot,) = events_in(answer.content)
    assert (snapshot["type"], snapshot["custom_status"]) == ("snapshot", {"step": "waiting"})
    assert snapshot["id"] == snapshot["position"]


def test_without_streams_no_news_end_the_answer_after_a_while(api, waiting, monkeypatch) -> None:
    (snapshot,) = events_in(api.get(CHANGES).content)
    told, length = RETRY, timedelta(milliseconds=1)

    while told == RETRY and length < timedelta(seconds=PATIENCE):  # It was over before anything was read.
        monkeypatch.setattr(stream, "SHORT", length)
        told = api.get(CHANGES, HTTP_LAST_EVENT_ID=snapshot["id"]).content
        length *= 2

    assert told == RETRY + b": unchanged\n\n"


def test_who_knows_the_end_is_told_not_to_come_again(api, durable) -> None:
    durable.client.start_orchestration("order-7", "orders.doubles", 1)
    durable.run()
    told = events_in(api.get(CHANGES).content)

    assert [each["type"] for each in told] == ["snapshot", "done"]
    assert told[-1]["output"] == {"doubled": 2, "label": ""}
    assert api.get(CHANGES, HTTP_LAST_EVENT_ID=told[-1]["id"]).status_code == 204
    assert api.get(CHANGES, {"since": told[0]["id"]}).status_code == 200


def test_the_query_opens_events_and_entries(api, durable, waiting) -> None:
    durable.client.cancel_instance("order-7")
    durable.run()
    told, last = [], None
    while last is None or last["type"] != "done":
        answer = api.get(CHANGES, {"history": "true", "kv": "true"}, HTTP_LAST_EVENT_ID=last["id"] if last else "")
        told += events_in(answer.content)
        last = told[-1]

    assert {"history", "kv", "done"} <= {each["type"] for each in told}


@pytest.mark.parametrize(
    ("query", "headers", "code"),
    [
        ({"since": "nonsense"}, {}, "invalid_argument"),
        ({}, {"HTTP_LAST_EVENT_ID": "1.2"}, "invalid_argument"),
        ({"after": "x"}, {}, "invalid_argument"),
        ({"streams": "words"}, {}, "invalid_argument"),
        ({"streams": '{"words": "1"}'}, {}, "invalid_argument"),
        ({"history": "perhaps"}, {}, "invalid"),
        ({"unknown": "1"}, {}, "invalid"),
    ],
)
def test_what_cannot_be_meant_is_a_problem(api, waiting, query, headers, code) -> None:
    answer = api.get(CHANGES, query, HTTP_ACCEPT=MEDIA_TYPE, **headers)

    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["code"] == code


@pytest.mark.parametrize(
    ("held", "query", "expected"),
    [
        ((), {}, 404),
        (("view_payload",), {"kv": "1"}, 404),
        (("view_instance",), {"kv": "1"}, 403),
        (("view_instance",), {"streams": '{"words": null}'}, 403),
        (("view_payload",), {"streams": '{"words": null}'}, 404),
        (("view_instance", "view_payload"), {"streams": '{"words": null}'}, 200),
        (("view_instance",), {}, 200),
        (("view_instance", "view_payload"), {"kv": "1", "history": "1"}, 200),
    ],
)
def test_each_wish_needs_its_right(waiting, api_of, user_with, held, query, expected) -> None:
    assert api_of(user_with(*held)).get(CHANGES, query).status_code == expected


def test_nobody_and_unknown_instances_are_refused(waiting, api, api_of) -> None:
    assert api_of(None).get(CHANGES, HTTP_ACCEPT=MEDIA_TYPE).json()["code"] == "not_authenticated"
    assert api.get("/durable/instances/other/changes/").json()["code"] == "instance_not_found"


# Streams that last.


class Reader:
    """Reads the events of a stream one by one."""

    def __init__(self, response: Any) -> None:
        assert response.status_code == 200
        self._frames = aiter(response.streaming_content)
        self._read: list[dict[str, Any]] = []

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            while not self._read:
                self._read += events_in(await anext(self._frames))
        return self._read.pop(0)

    async def rest(self) -> list[dict[str, Any]]:
        async with asyncio.timeout(PATIENCE):
            return self._read + [event async for frame in self._frames for event in events_in(frame)]

    async def close(self) -> None:
        await self._frames.aclose()


@pytest.fixture
def committed(durable_db, monkeypatch):
    """Runs instances; other threads see them."""
    from django_durable.api.views.base import DurableView
    from django_durable.testing import Durable

    from .orders import registry

    harness = Durable(registry)
    monkeypatch.setattr(DurableView, "client", harness.client)
    harness.client.start_orchestration("order-7", "orders.waits")
    harness.run()
    yield harness
    harness.close()


@pytest.fixture
def watcher(durable_db) -> User:
    user = User.objects.create_user("watcher")
    user.user_permissions.set(
        Permission.objects.filter(
            content_type__app_label="django_durable", codename__in=["view_instance", "view_payload"]
        )
    )
    return user


async def opened(user: User, **headers: str) -> Reader:
    client = AsyncClient(headers=headers)
    await client.aforce_login(user)
    return Reader(await client.get(CHANGES))


def test_a_stream_tells_each_change_and_ends_after_the_end(committed, watcher) -> None:
    async def scenario() -> tuple[dict, dict, list[dict]]:
        reader = await opened(watcher)
        snapshot = await reader.next()
        await committed.client.araise_event("order-7", "go", "<b>data</b>")
        await sync_to_async(committed.run)()
        change = await reader.next()
        await committed.client.aenqueue_event("order-7", "messages", 1)
        await sync_to_async(committed.run)()
        return snapshot, change, await reader.rest()

    snapshot, change, rest = async_to_sync(scenario)()
    assert [snapshot["type"], change["type"]] == ["snapshot", "status"]
    assert change["custom_status"] == {"step": "going"}
    assert rest[-1]["type"] == "done"
    assert rest[-1]["output"] == {"data": "<b>data</b>", "message": 1}


def test_items_come_once_over_breaks_by_the_id_that_the_browser_sends(committed, watcher) -> None:
    """The address stays that of the page, whose place is long gone."""

    async def ask(last: dict | None, streams: str = '{"words": 0}') -> Any:
        client = AsyncClient()
        await client.aforce_login(watcher)
        return await client.get(CHANGES, {"streams": streams}, headers={"last-event-id": last["id"]} if last else {})

    async def scenario() -> list[dict]:
        told: list[dict] = []
        for number in range(5):
            await committed.client.asend_to_stream("order-7", "words", number)
            reader = Reader(await ask(told[-1] if told else None))
            while (message := await reader.next())["type"] != "stream":
                pass
            told.append(message)
            await reader.close()
        await committed.client.aclose_stream("order-7", "words", "enough")
        await committed.client.aterminate_instance("order-7")
        rest = await Reader(await ask(told[-1])).rest()
        assert (await ask(rest[-1])).status_code == 204
        assert (await ask(rest[-1], '{"others": 0}')).status_code == 200
        return told + rest

    told = async_to_sync(scenario)()
    streams = [each for each in told if each["type"] == "stream"]
    assert [item["value"] for each in streams for item in each["items"]] == [0, 1, 2, 3, 4]
    assert [(each["ended"], each["reason"]) for each in streams][-1] == (True, "enough")
    assert told[-1]["type"] == "done"


def test_a_stream_goes_on_where_the_browser_was(committed, watcher) -> None:
    async def scenario() -> list[dict]:
        first = await opened(watcher)
        seen = await first.next()
        await first.close()
        again = await opened(watcher, last_event_id=seen["id"])
        await committed.client.asuspend_instance("order-7")
        change = await again.next()
        await again.close()
        return [seen, change]

    seen, change = async_to_sync(scenario)()
    assert (change["type"], change["runtime_status"]) in {("status", "Suspended"), ("snapshot", "Suspended")}
    assert change["revision"] > seen["revision"]


def test_a_stream_ends_when_its_time_is_over(committed, watcher, settings) -> None:
    settings.DJANGO_DURABLE = {"LIVE_MAX_STREAM": timedelta(milliseconds=200)}

    async def scenario() -> list[dict]:
        return await (await opened(watcher)).rest()

    assert {each["type"] for each in async_to_sync(scenario)()} <= {"snapshot"}, "and it has ended"


@pytest.mark.parametrize(
    ("withdraw", "code"),
    [
        (lambda user, session: user.user_permissions.clear(), "permission_denied"),
        (lambda user, session: session.delete(), "not_authenticated"),
        (lambda user, session: User.objects.filter(pk=user.pk).update(is_active=False), "not_authenticated"),
        (lambda user, session: (user.set_password("new"), user.save()), "not_authenticated"),
    ],
    ids=["permission", "logout", "deactivated", "password"],
)
def test_a_stream_ends_when_its_user_may_see_the_instance_no_longer(
    committed, watcher, settings, withdraw, code
) -> None:
    settings.DJANGO_DURABLE = {"LIVE_RECHECK": timedelta(milliseconds=20)}

    async def scenario() -> list[dict]:
        client = AsyncClient()
        await client.aforce_login(watcher)
        reader = Reader(await client.get(CHANGES))
        await reader.next()
        session = await client.asession()
        await sync_to_async(withdraw)(watcher, session)
        return await reader.rest()

    (problem,) = async_to_sync(scenario)()
    assert (problem["type"], problem["code"]) == ("error", code)


def test_projects_with_a_transaction_per_request_can_stream(api, waiting) -> None:
    from django.db import connection

    connection.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        assert api.get(CHANGES).status_code == 200
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False


def test_a_browser_that_asks_for_events_alone_is_served(waiting, durable) -> None:
    client = Client(headers={"accept": MEDIA_TYPE})
    client.force_login(User.objects.create_superuser("root"))

    assert client.get(CHANGES)["Content-Type"] == MEDIA_TYPE
