"""Streams that are followed: every item once and in order, over breaks and slowness, to the end and its reason."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser

from django_durable.engine.errors import InvalidArgument, LimitExceeded
from django_durable.live import Position, position_from_text, streams_from_value
from django_durable.live.streams import LARGEST_BATCH, LONGEST_QUEUE

from .support import Ear, Somebody, scenario
from .test_listening import go, start
from .test_tail import counted


def values(told: Iterable[dict[str, Any]], stream: str = "words") -> list[Any]:
    return [
        item["value"]
        for each in told
        if each["type"] == "stream" and each["stream"] == stream
        for item in each["items"]
    ]


def place(ear: Ear, stream: str = "words") -> int:
    """Return the position of the last item that was told."""
    positions = [
        item["position"] for each in ear.of_type("stream") if each["stream"] == stream for item in each["items"]
    ]
    assert positions == sorted(set(positions))
    return positions[-1] if positions else 0


async def until_told(ear: Ear, count: int, stream: str = "words") -> None:
    while len(values(ear.told, stream)) < count:
        await ear.hear()


@scenario
async def test_items_come_in_order_each_once_and_the_end_with_its_reason(durable, boss, ear_of) -> None:
    await start(durable, "talk", "orders.quiet")
    await durable.client.asend_to_stream("talk", "words", "a", {"b": "<b>"})
    ear = ear_of(boss)
    ear.subscribe("talk", streams={"words": None})
    await until_told(ear, 2)
    for word in "cde":
        await durable.client.asend_to_stream("talk", "words", word)
        await until_told(ear, place(ear) + 1)
    await durable.client.aclose_stream("talk", "words", "enough")
    end = await ear.until(lambda message: message.get("ended", False))

    assert ear.told[0]["type"] == "snapshot"
    assert values(ear.told) == ["a", {"b": "<b>"}, "c", "d", "e"]
    assert (end["items"], end["reason"], place(ear)) == ([], "enough", 5)
    assert position_from_text(end["position"]).streams == (("words", 6),)
    await go(durable, "talk")
    await go(durable, "talk", "end")
    await ear.until_type("done")
    assert sum(each["ended"] for each in ear.of_type("stream")) == 1


@scenario
async def test_a_stream_ends_with_its_instance_after_its_last_item(durable, boss, ear_of) -> None:
    await start(durable, "talk", "orders.talks", 3)
    ear = ear_of(boss)
    ear.subscribe("talk", streams={"words": None, "nothing": None})
    await ear.until_type("done")

    assert values(ear.told) == [0, 1, 2]
    assert [(each["stream"], each["ended"], each["reason"]) for each in ear.of_type("stream") if each["ended"]] == [
        ("words", True, None),
        ("nothing", True, None),
    ]
    assert ear.told[-1]["type"] == "done"


@scenario
async def test_who_comes_back_goes_on_after_the_last_item(durable, boss, ear_of) -> None:
    await start(durable, "talk", "orders.quiet")
    told: list[dict[str, Any]] = []
    since = None
    for number in range(0, 30, 3):
        ear = ear_of(boss)
        ear.subscribe("talk", streams={"words": None, "other": 5}, since=since and position_from_text(since))
        await durable.client.asend_to_stream("talk", "words", number, number + 1)
        await until_told(ear, 1)
        told += ear.told
        since = ear.of_type("stream")[-1]["position"]
        ear.close()
        await durable.client.asend_to_stream("talk", "words", number + 2)
    ear = ear_of(boss)
    ear.subscribe("talk", streams={"words": 7}, since=position_from_text(since))
    await until_told(ear, 1)
    while place(ear) < 30:
        await ear.hear()

    assert values(told) + values(ear.told) == list(range(30))


@scenario
async def test_a_page_says_up_to_where_it_has_the_items(durable, boss, ear_of) -> None:
    await start(durable, "talk", "orders.quiet")
    await durable.client.asend_to_stream("talk", "words", *"abc")
    ear = ear_of(boss)
    ear.subscribe("talk", streams={"words": 2})
    await until_told(ear, 1)
    assert values(ear.told) == ["c"]


@scenario
async def test_a_position_of_an_earlier_instance_means_nothing(durable, boss, ear_of) -> None:
    await start(durable, "talk", "orders.quiet")
    await durable.client.asend_to_stream("talk", "words", *"abc")
    ear = ear_of(boss)
    ear.subscribe("talk", streams={"words": None})
    await until_told(ear, 3)
    since = position_from_text(ear.of_type("stream")[-1]["position"])
    await durable.client.adelete_instance("talk", force=True)
    await start(durable, "talk", "orders.quiet")
    await durable.client.asend_to_stream("talk", "words", "new")
    again = ear_of(boss)
    again.subscribe("talk", streams={"words": 3}, since=since)
    await until_told(again, 1)
    assert values(again.told) == ["new"]


@scenario
async def test_a_slow_listener_is_told_everything_and_little_is_kept_for_it(durable, boss, ear_of) -> None:
    count = 3 * LONGEST_QUEUE
    await start(durable, "talk", "orders.quiet")
    slow, quick = ear_of(boss), ear_of(boss)
    for each in (slow, quick):
        each.subscribe("talk", streams={"words": None})
    await slow.until_type("snapshot")
    await durable.client.asend_to_stream("talk", "words", *range(count))
    await until_told(quick, count)
    [subscription] = slow.listener._subscriptions.values()
    assert len(subscription.streams[0]._rows) <= LONGEST_QUEUE
    await until_told(slow, count)
    assert values(slow.told) == values(quick.told) == list(range(count))


@scenario
async def test_large_items_are_told_in_several_messages(durable, boss, ear_of) -> None:
    await start(durable, "talk", "orders.quiet")
    await durable.client.asend_to_stream("talk", "words", *["x" * LARGEST_BATCH] * 3, "y")
    ear = ear_of(boss)
    ear.subscribe("talk", streams={"words": None})
    await until_told(ear, 4)
    assert [len(each["items"]) for each in ear.of_type("stream")] == [1, 1, 1, 1]


@scenario
async def test_who_comes_back_too_late_is_told_what_is_gone_and_goes_on(durable, boss, ear_of) -> None:
    await start(durable, "talk", "orders.quiet")
    await durable.client.asend_to_stream("talk", "words", *range(1, 11))
    await durable.client.atrim_stream("talk", "words", keep=3)
    late, new, ahead = ear_of(boss), ear_of(boss), ear_of(boss)
    late.subscribe("talk", streams={"words": 2})
    new.subscribe("talk", streams={"words": None})
    ahead.subscribe("talk", streams={"words": 8})
    for ear, count in ((late, 3), (new, 3), (ahead, 2)):
        await until_told(ear, count)
    assert [each.get("trimmed_to") for ear in (late, new, ahead) for each in ear.of_type("stream")] == [7, 7, None]
    assert values(late.told) == values(new.told) == [8, 9, 10]
    assert values(ahead.told) == [9, 10]


@scenario
async def test_many_followers_of_one_stream_cost_one_query_and_others_none(durable, boss, ear_of) -> None:
    await start(durable, "talk", "orders.quiet")
    ears = [ear_of(boss) for _ in range(20)]
    for ear in ears:
        ear.subscribe("talk", streams={"words": None})
    plain = ear_of(boss)
    plain.subscribe("talk")
    await plain.until_type("snapshot")
    for ear in ears:
        await ear.until_type("snapshot")
    async with counted() as queries:
        await durable.client.asend_to_stream("talk", "words", "a")
        for ear in ears:
            await until_told(ear, 1)
    reads = [each for each in queries.statements if "trimmed_to" in each and "SELECT" in each and "INSERT" not in each]
    assert 1 <= len(reads) <= 4
    assert all("UNION" not in each for each in reads)
    assert plain.of_type("stream") == []


@pytest.mark.parametrize(
    ("held", "streams", "code"),
    [
        (("view_instance",), {"words": None}, "permission_denied"),
        (("view_payload",), {"words": None}, "not_found"),
        (("view_instance", "view_payload"), {"words": None}, None),
    ],
)
def test_following_needs_the_right_to_read(durable, user_with, ear_of, held, streams, code) -> None:
    @scenario
    async def told() -> dict:
        await start(durable, "talk", "orders.quiet")
        ear = ear_of(await sync_to_async(user_with)(*held))
        ear.subscribe("talk", streams=streams)
        return (await ear.hear())[0]

    assert told().get("code") == code


@scenario
async def test_rules_open_single_streams(durable, user_with, ear_of, settings) -> None:
    settings.DJANGO_DURABLE = {"PERMISSIONS": "tests.live.orders.WordsRules"}
    await start(durable, "talk", "orders.quiet")
    await durable.client.asend_to_stream("talk", "words", "a")
    user = await sync_to_async(user_with)(username="reader")
    reads, peeks = ear_of(user), ear_of(user)
    reads.subscribe("talk", streams={"words": None})
    peeks.subscribe("talk", streams={"words": None, "notes": None})
    await until_told(reads, 1)
    assert (await peeks.hear())[0]["code"] == "permission_denied"
    assert peeks.of_type("stream") == []


@scenario
async def test_a_right_that_is_withdrawn_ends_what_is_open(durable, boss, ear_of, settings) -> None:
    settings.DJANGO_DURABLE = {"LIVE_RECHECK": timedelta(milliseconds=20)}
    await start(durable, "talk", "orders.quiet")
    await durable.client.asend_to_stream("talk", "words", "a")
    somebody = Somebody(boss)
    ear = ear_of(somebody)
    ear.subscribe("talk", streams={"words": None})
    await until_told(ear, 1)
    somebody.now = AnonymousUser()
    problem = await ear.until_type("error")
    await durable.client.asend_to_stream("talk", "words", "b")
    assert problem["code"] == "not_authenticated"
    assert not ear.listener.watched
    assert values(ear.told) == ["a"]


@scenario
async def test_the_hook_of_the_project_is_asked(durable, boss, ear_of, settings) -> None:
    settings.DJANGO_DURABLE = {"REDACT": "tests.live.orders.hide_items"}
    await start(durable, "talk", "orders.quiet")
    await durable.client.asend_to_stream("talk", "words", "secret")
    await durable.client.aclose_stream("talk", "words", "a secret reason")
    ear = ear_of(boss)
    ear.subscribe("talk", streams={"words": None})
    end = await ear.until(lambda message: message.get("ended", False))
    assert values(ear.told) == ["talk words payload"]
    assert end["reason"] == "talk words reason"


@pytest.mark.parametrize(
    "value",
    [
        "words",
        ["words"],
        {"": None},
        {"x" * 300: None},
        {"words": -1},
        {"words": True},
        {"words": "1"},
        {"words": 2**63},
        7,
    ],
)
def test_what_names_no_streams_is_refused(value) -> None:
    with pytest.raises(InvalidArgument):
        streams_from_value(value)


def test_only_so_many_streams_are_followed_at_once() -> None:
    with pytest.raises(LimitExceeded):
        streams_from_value({str(number): None for number in range(11)})


@pytest.mark.parametrize("name", ["words", "a b", "a,b:c~d%2C/é", ":" * 20, "...", "."])
def test_positions_are_read_as_they_are_written_whatever_streams_are_called(name) -> None:
    position = Position(3, 4, 1, 2, True, ((name, 41), ("other", 0)))
    assert position_from_text(str(position)) == position
    assert str(position).isascii()


@pytest.mark.parametrize("text", ["1.2.3.4,", "1.2.3.4,a", "1.2.3.4,a:", "1.2.3.4,a:x", "1.2.3.4,a b:1", "1.2.3.4,:1"])
def test_what_is_no_position_is_refused(text) -> None:
    with pytest.raises(InvalidArgument):
        position_from_text(text)
