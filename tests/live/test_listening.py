"""What a listener is told: a snapshot, every change after it, the end; and where it goes on when it comes back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async

from django_durable.engine.errors import InvalidArgument, LimitExceeded
from django_durable.live import place_from_text, position_from_text
from django_durable.live.subscriptions import LONGEST_QUEUE

from .support import scenario


async def step(durable, instance_id: str, times: int = 1) -> None:
    for _ in range(times):
        await durable.client.aenqueue_event(instance_id, "steps", None)
        await sync_to_async(durable.run)()


async def go(durable, instance_id: str, name: str = "go") -> None:
    await durable.client.araise_event(instance_id, name)
    await sync_to_async(durable.run)()


async def start(durable, instance_id: str, orchestration: str, *arguments) -> None:
    await durable.client.astart_orchestration(instance_id, orchestration, *arguments)
    await sync_to_async(durable.run)()


@scenario
async def test_the_snapshot_comes_first_then_changes_by_revision_then_the_end(durable, boss, ear_of) -> None:
    await start(durable, "order-7", "orders.counts", 2)
    ear = ear_of(boss)
    ear.subscribe("order-7")
    await ear.until_type("snapshot")
    for count in (1, 2):
        await step(durable, "order-7")
        await ear.until(lambda message, n=count: message.get("done") or message["custom_status"].get("count") == n)
    done = await ear.until_type("done")

    assert [each["type"] for each in ear.told] == ["snapshot", "status", "status", "done"]
    assert ear.told[0]["custom_status"] == {"count": 0, "end": 2, "text": "<i>0</i>"}
    revisions = [each["revision"] for each in ear.told]
    assert revisions[:3] == sorted(set(revisions[:3]))
    assert (done["runtime_status"], done["output"], done["error"]) == ("Completed", {"counted": 2}, None)
    assert all(each["v"] == 1 and each["instance_id"] == "order-7" for each in ear.told)
    assert position_from_text(done["position"]).done
    assert not ear.listener.watched


@scenario
async def test_what_has_ended_is_a_snapshot_and_the_end(durable, boss, ear_of) -> None:
    await start(durable, "order-7", "orders.fails")
    ear = ear_of(boss)
    ear.subscribe("order-7")
    done = await ear.until_type("done")

    assert [each["type"] for each in ear.told] == ["snapshot", "done"]
    assert (done["error"]["error_type"], done["error"]["message"]) == ("ValueError", "the secret is <b>bold</b>")
    assert "error" not in ear.told[0]


@scenario
async def test_a_slow_listener_is_told_the_latest_and_nothing_in_between(durable, boss, ear_of) -> None:
    await start(durable, "order-7", "orders.counts", 100)
    slow, quick = ear_of(boss), ear_of(boss)
    slow.subscribe("order-7")
    quick.subscribe("order-7")
    await slow.until_type("snapshot")
    for _ in range(3):
        await step(durable, "order-7", 5)
        count = (await durable.client.aget_status("order-7")).custom_status["count"]
        await quick.until(lambda message, n=count: message["custom_status"]["count"] == n)
    await slow.hear()

    assert [each["custom_status"]["count"] for each in slow.told] == [0, 15]


# Coming back.


@scenario
async def test_who_comes_back_and_missed_nothing_is_not_told_again(durable, boss, ear_of) -> None:
    await start(durable, "order-7", "orders.counts", 2)
    first = ear_of(boss)
    first.subscribe("order-7")
    seen = await first.until_type("snapshot")
    again = ear_of(boss)
    again.subscribe("order-7", since=position_from_text(seen["position"]))
    assert (await again.hear())[0] == {
        "v": 1,
        "type": "unchanged",
        "instance_id": "order-7",
        "position": seen["position"],
    }
    await step(durable, "order-7")
    change = await again.until_type("status")

    assert change["revision"] > seen["revision"]


@scenario
async def test_who_comes_back_after_changes_is_told_of_the_latest(durable, boss, ear_of) -> None:
    await start(durable, "order-7", "orders.counts", 9)
    first = ear_of(boss)
    first.subscribe("order-7")
    seen = await first.until_type("snapshot")
    await step(durable, "order-7", 3)
    again = ear_of(boss)
    again.subscribe("order-7", since=position_from_text(seen["position"]))

    assert (await again.until_type("snapshot"))["custom_status"]["count"] == 3


@scenario
async def test_who_comes_back_to_an_instance_that_was_started_again_is_told_though_its_revision_is_the_same(
    durable, boss, ear_of
) -> None:
    await start(durable, "order-7", "orders.counts", 2)
    first = ear_of(boss)
    first.subscribe("order-7")
    seen = await first.until_type("snapshot")
    first.close()
    await durable.client.adelete_instance("order-7", force=True)
    await start(durable, "order-7", "orders.counts", 3)
    again = ear_of(boss)
    again.subscribe("order-7", since=position_from_text(seen["position"]))
    snapshot = await again.until_type("snapshot")

    assert snapshot["revision"] == seen["revision"]
    assert snapshot["custom_status"]["end"] == 3


# Ends.


@scenario
async def test_a_deleted_instance_is_gone(durable, boss, ear_of) -> None:
    await start(durable, "order-7", "orders.counts", 2)
    ear = ear_of(boss)
    ear.subscribe("order-7")
    await ear.until_type("snapshot")
    await durable.client.adelete_instance("order-7", force=True)

    assert await ear.until_type("gone") == {"v": 1, "type": "gone", "instance_id": "order-7"}
    assert not ear.listener.watched


@scenario
async def test_an_instance_started_again_under_the_id_of_a_deleted_one_is_another_one(durable, boss, ear_of) -> None:
    await start(durable, "order-7", "orders.counts", 2)
    ear = ear_of(boss)
    ear.subscribe("order-7")
    await ear.until_type("snapshot")

    def replace() -> None:
        durable.client.delete_instance("order-7", force=True)
        durable.client.start_orchestration("order-7", "orders.counts", 3)

    await sync_to_async(replace)()
    await ear.until_type("gone")
    ear.subscribe("order-7")

    assert (await ear.until(lambda message: message["type"] == "snapshot" and message is not ear.told[0]))["done"] is (
        False
    )


@scenario
async def test_an_instance_that_does_not_exist_is_not_found(durable, boss, ear_of) -> None:
    ear = ear_of(boss)
    ear.subscribe("order-7")
    problem = await ear.until_type("error")

    assert (problem["code"], problem["instance_id"]) == ("not_found", "order-7")


@scenario
async def test_a_listener_that_hears_nothing_hears_a_heartbeat(durable, boss, ear_of, settings) -> None:
    settings.DJANGO_DURABLE = {"LIVE_HEARTBEAT": timedelta(milliseconds=20)}
    ear = ear_of(boss)

    assert await ear.hear() == [{"v": 1, "type": "heartbeat"}]
    assert await ear.hear() == [{"v": 1, "type": "heartbeat"}]


@scenario
async def test_a_listener_watches_so_many_instances_and_no_more(durable, boss, ear_of, settings) -> None:
    settings.DJANGO_DURABLE = {"LIVE_MAX_SUBSCRIPTIONS": 2}
    ear = ear_of(boss)
    ear.subscribe("order-1")
    ear.subscribe("order-2")
    ear.subscribe("order-2")
    with pytest.raises(LimitExceeded, match="instances watched by one connection"):
        ear.subscribe("order-3")

    ear.listener.unsubscribe("order-1")
    ear.subscribe("order-3")
    assert set(ear.listener.watched) == {"order-2", "order-3"}


# Histories.


@scenario
async def test_a_history_is_told_without_gaps_over_all_executions(durable, boss, ear_of) -> None:
    await start(durable, "order-7", "orders.repeats", 2)
    ear = ear_of(boss)
    ear.subscribe("order-7", history=True)
    await ear.until_type("history")
    for _ in range(3):
        await go(durable, "order-7")
    await ear.until_type("done")

    told = [(each["execution"], each["seq"]) for each in ear.of_type("history")]
    recorded = [
        (number, event.seq)
        for number in (1, 2, 3)
        for event in await durable.client.aread_execution_history("order-7", number)
    ]
    assert told == recorded
    assert ear.told[-1]["type"] == "done"
    first = ear.of_type("history")[0]
    assert (first["kind"], first["name"], first["payload"]) == ("OrchestrationStarted", "orders.repeats", 2)


@scenario
async def test_events_that_change_nothing_else_are_told_too(durable, boss, ear_of) -> None:
    await start(durable, "order-7", "orders.quiet")
    ear = ear_of(boss)
    ear.subscribe("order-7", history=True)
    await ear.until(lambda message: message.get("kind") == "EventWaited" or message["type"] == "history")
    await go(durable, "order-7")

    await ear.until(lambda message: message["type"] == "history" and message["name"] == "end")


@scenario
async def test_a_history_goes_on_after_what_the_listener_has(durable, boss, ear_of) -> None:
    await start(durable, "order-7", "orders.counts", 9)
    first = ear_of(boss)
    first.subscribe("order-7", history=True)
    length = len(await durable.client.aread_execution_history("order-7"))
    last = await first.until(lambda message: message.get("seq") == length)
    first.close()
    await step(durable, "order-7")
    by_position, by_place = ear_of(boss), ear_of(boss)
    by_position.subscribe("order-7", history=True, since=position_from_text(last["position"]))
    by_place.subscribe("order-7", history=True, after=place_from_text(f"1.{length}"))

    for ear in (by_position, by_place):
        assert (await ear.until_type("history"))["seq"] == length + 1


@scenario
async def test_a_history_longer_than_the_queue_is_told_in_order_and_completely(durable, boss, ear_of) -> None:
    await start(durable, "order-7", "orders.counts", LONGEST_QUEUE)
    for _ in range(LONGEST_QUEUE):
        await durable.client.aenqueue_event("order-7", "steps", None)
    await sync_to_async(durable.run)()
    length = len(await durable.client.aread_execution_history("order-7"))
    ear, short = ear_of(boss), ear_of(boss)
    ear.subscribe("order-7", history=True)
    short.subscribe("order-7", history=True, after=(1, length - 2))
    await ear.until_type("done")
    await short.until_type("done")

    assert length > 2 * LONGEST_QUEUE
    assert [each["seq"] for each in ear.of_type("history")] == list(range(1, length + 1))
    assert [each["seq"] for each in short.of_type("history")] == [length - 1, length]


# Entries.


@scenario
async def test_entries_are_told_all_at_first_and_then_as_they_change(durable, boss, ear_of) -> None:
    await start(durable, "order-7", "orders.counts", 2)
    ear = ear_of(boss)
    ear.subscribe("order-7", kv=True)
    await ear.until_type("kv")
    await step(durable, "order-7")
    await ear.until(lambda message: message["type"] == "kv" and not message["complete"])
    await step(durable, "order-7")
    await ear.until_type("done")

    shown = [(each["complete"], each["values"], each["removed"]) for each in ear.of_type("kv")]
    assert shown == [
        (True, {"count": 0, "limit": 2}, []),
        (False, {"count": 1}, []),
        (False, {}, ["count"]),
    ]


@pytest.mark.parametrize("text", ["", "7", "1.2.3", "a.1.0.0", "1.1.0.0.x", "-1.1.0.0", None, 7, "1" * 20 + ".1.0.0"])
def test_what_is_no_position_is_refused(text) -> None:
    with pytest.raises(InvalidArgument, match="expected the position of an earlier message"):
        position_from_text(text)


def test_a_position_is_read_as_it_was_written() -> None:
    for text in ("17.5.0.0", "17.5.2.31", "17.5.2.31.done"):
        assert str(position_from_text(text)) == text
