"""The two sockets: what they say, how they end, and what they make of nonsense."""

from __future__ import annotations

from asgiref.sync import sync_to_async

from tests.live.support import scenario


@scenario
async def test_the_socket_of_one_instance_shows_it_until_it_is_done(durable, boss, socket) -> None:
    await durable.client.astart_orchestration("order-7", "orders.counts", 1)
    async with socket(boss, "order-7") as one:
        await one.until_type("snapshot")
        await durable.client.aenqueue_event("order-7", "steps", None)
        await sync_to_async(durable.run)()
        code = await one.until_closed()

    assert code == 1000
    assert one.told[0]["type"] == "snapshot"
    assert one.told[-1]["type"] == "done"
    assert one.told[-1]["output"] == {"counted": 1}


@scenario
async def test_many_instances_are_watched_on_one_socket(durable, boss, socket) -> None:
    for name in ("order-1", "order-2"):
        await durable.client.astart_orchestration(name, "orders.doubles", 2)
    async with socket(boss) as many:
        await many.subscribe("order-1")
        await many.subscribe("order-2")
        await many.subscribe("order-3")
        await many.until(lambda message: message["type"] == "error")
        await sync_to_async(durable.run)()
        for name in ("order-1", "order-2"):
            if not any(each["type"] == "done" and each["instance_id"] == name for each in many.told):
                await many.until(lambda m, name=name: m["type"] == "done" and m["instance_id"] == name)
        await many.pong()

    refused = [each for each in many.told if each["type"] == "error"]
    assert [(each["code"], each["instance_id"]) for each in refused] == [("not_found", "order-3")]
