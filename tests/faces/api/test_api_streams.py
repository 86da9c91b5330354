"""Streams over REST: listed, read from a position, waited for, sent on, closed and trimmed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import AsyncClient

from .conftest import address


def items(rest: str = "", stream: str = "words") -> str:
    return address("one", f"streams/{stream}/items/{rest}")


def found(answer: Any) -> tuple[list[Any], int, bool]:
    assert answer.status_code == 200, answer.content
    body = answer.json()
    return [each["value"] for each in body["items"]], body["position"], body["ended"]


def refused(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.fixture
def spoken(durable) -> Any:
    """Start `one`, of which a stream has the items `a`, `b` and `c`; return the client."""
    durable.client.start_orchestration("one", "orders.waits")
    durable.run()
    durable.client.send_to_stream("one", "words", "a", {"b": "<b>"}, None)
    return durable.client


def test_items_are_read_page_by_page(api, spoken) -> None:
    spoken.close_stream("one", "words", "enough")
    first = api.get(items("?limit=2"))

    assert found(first) == (["a", {"b": "<b>"}], 2, False)
    assert [each["position"] for each in first.json()["items"]] == [1, 2]
    last = api.get(first.json()["next"])
    assert found(last) == ([None], 4, True)
    assert found(api.get(items("?after=4"))) == ([], 4, True)
    assert (last.json()["reason"], last.json()["next"]) == ("enough", None)


def test_streams_are_listed_with_what_is_kept(api, spoken) -> None:
    spoken.close_stream("one", "ended", "enough")
    spoken.trim_stream("one", "words", keep=1)

    common = {"awaited": False}
    assert api.get(address("one", "streams/")).json()["results"] == [
        {
            "name": "ended",
            "items": 0,
            "first_position": 1,
            "last_position": 1,
            "closed": True,
            "reason": "enough",
            **common,
        },
        {
            "name": "words",
            "items": 1,
            "first_position": 3,
            "last_position": 3,
            "closed": False,
            "reason": None,
            **common,
        },
    ]


def test_a_place_that_was_trimmed_is_gone_and_the_answer_says_where_to_go_on(api, spoken) -> None:
    trimmed = api.post(address("one", "streams/words/trim/"), {"before": 3}, format="json")
    assert trimmed.json() == {"first_position": 3, "items_deleted": 2}

    answer = api.get(items("?after=1"))
    assert refused(answer) == (410, "stream_trimmed")
    assert answer.json()["first_position"] == 3
    assert found(api.get(items("?after=2"))) == found(api.get(items())) == ([None], 3, False)


def test_what_is_sent_is_read_and_its_position_told(api, durable, spoken) -> None:
    answer = api.post(items(), {"items": ["d", 5]}, format="json")

    assert (answer.status_code, answer.json()["position"]) == (202, 5)
    assert answer["Location"] == answer.json()["status_url"] == address("one", "status/")
    assert found(api.get(items("?after=3"))) == (["d", 5], 5, False)


def test_a_closed_stream_refuses_items_without_saying_why_to_whoever_may_not_read(api_of, user_with, spoken) -> None:
    sender = api_of(user_with("send_to_stream"))
    assert (
        sender.post(address("one", "streams/words/close/"), {"reason": "it is secret"}, format="json").status_code
        == 202
    )

    answer = sender.post(items(), {"items": [1]}, format="json")
    assert refused(answer) == (409, "stream_closed")
    assert "secret" not in answer.content.decode()


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (items(), {"items": []}, 400, "invalid"),
        (items(), {"items": "abc"}, 400, "invalid"),
        (items(), {"item": 1}, 400, "invalid"),
        (address("one", "streams/words/close/"), {"reason": 7}, 400, "invalid"),
        (address("one", "streams/words/trim/"), {}, 400, "invalid"),
        (address("one", "streams/words/trim/"), {"keep": 1, "before": 1}, 400, "invalid"),
        (address("nobody", "streams/words/items/"), {"items": [1]}, 404, "instance_not_found"),
        (address("one", f"streams/{'x' * 300}/items/"), {"items": [1]}, 400, "invalid_argument"),
    ],
)
def test_what_cannot_be_meant_is_a_problem_and_writes_nothing(api, spoken, path, body, status, code) -> None:
    assert refused(api.post(path, body, format="json")) == (status, code)
    assert [(each.name, each.items) for each in spoken.list_streams("one")] == [("words", 3)]


def test_nothing_is_sent_to_an_instance_that_has_ended(api, spoken) -> None:
    spoken.terminate_instance("one")

    assert refused(api.post(items(), {"items": [1]}, format="json")) == (409, "illegal_transition")
    assert found(api.get(items()))[2] is True


@pytest.mark.parametrize(
    ("held", "read", "sent", "trimmed"),
    [
        ((), 404, 404, 404),
        (("view_payload",), 404, 404, 404),
        (("view_instance",), 403, 403, 403),
        (("view_instance", "view_payload"), 200, 403, 403),
        (("send_to_stream",), 404, 202, 404),
        (("prune_instance",), 404, 404, 200),
    ],
)
def test_reading_sending_and_trimming_each_have_a_right(api_of, user_with, spoken, held, read, sent, trimmed) -> None:
    user = api_of(user_with(*held))

    assert user.get(items()).status_code == read
    assert user.post(items(), {"items": [1]}, format="json").status_code == sent
    assert user.post(address("one", "streams/words/trim/"), {"keep": 9}, format="json").status_code == trimmed


def test_rules_open_one_stream_and_leave_the_others_and_all_payloads_closed(
    api_of, user_with, spoken, settings
) -> None:
    settings.DJANGO_DURABLE = {"PERMISSIONS": "tests.faces.api.orders.WordsRules"}
    spoken.send_to_stream("one", "notes", "secret")
    spoken.close_stream("one", "notes", "secret, too")
    customer = api_of(user_with(username="customer"))

    assert found(customer.get(items()))[1] == 3
    assert customer.post(items(stream="questions"), {"items": ["how?"]}, format="json").status_code == 202
    assert refused(customer.get(items(stream="notes"))) == (403, "permission_denied")
    assert refused(customer.post(items(), {"items": [1]}, format="json")) == (403, "permission_denied")
    assert [each["name"] for each in customer.get(address("one", "streams/")).json()["results"]] == ["words"]
    assert customer.get(address("one", "kv/")).status_code == 403


def test_whoever_inspects_sees_which_streams_there_are_and_nothing_of_what_they_say(api_of, user_with, spoken) -> None:
    spoken.close_stream("one", "words", "it is secret")
    answer = api_of(user_with("view_instance")).get(address("one", "streams/"))

    assert [(each["name"], "reason" in each) for each in answer.json()["results"]] == [("words", False)]


def test_without_news_a_wait_is_answered_when_it_is_over(api, spoken) -> None:
    answer = api.get(items("?after=3&wait=1"), HTTP_PREFER="wait=5")

    assert found(answer) == ([], 3, False)
    assert (answer["Retry-After"], answer["Preference-Applied"]) == ("1", "wait=1")


def test_names_of_any_kind_are_addressed(api, spoken) -> None:
    from urllib.parse import quote

    name = "a/b c%2F?"
    spoken.send_to_stream("one", name, "there")

    assert found(api.get(items(stream=quote(quote(name, safe=""), safe=""))))[0] == ["there"]


# With transactions that others see.


@pytest.fixture
def committed(durable_db, monkeypatch):
    from django_durable.api.views.base import DurableView
    from django_durable.testing import Durable

    from .orders import registry

    harness = Durable(registry)
    monkeypatch.setattr(DurableView, "client", harness.client)
    harness.client.start_orchestration("one", "orders.waits")
    harness.run()
    yield harness
    harness.close()


@pytest.mark.parametrize("news", ["item", "end", "terminated", "deleted"])
def test_a_wait_ends_with_the_next_item_or_the_end(committed, news) -> None:
    client = committed.client
    User.objects.create_superuser("root")

    async def happens() -> None:
        if news == "item":
            await client.asend_to_stream("one", "words", "a")
        elif news == "end":
            await client.aclose_stream("one", "words", "enough")
        elif news == "terminated":
            await client.aterminate_instance("one")
        else:
            await client.adelete_instance("one", force=True)

    async def scenario() -> Any:
        browser = AsyncClient()
        await browser.aforce_login(await User.objects.aget(username="root"))
        async with asyncio.timeout(30):
            asked = asyncio.ensure_future(browser.get(items("?wait=30")))
            await asyncio.sleep(0)
            await happens()
            return await asked

    answer = async_to_sync(scenario)()
    if news == "deleted":
        assert refused(answer) == (404, "instance_not_found")
    else:
        assert found(answer) == {"item": (["a"], 1, False), "end": ([], 1, True), "terminated": ([], 0, True)}[news]
