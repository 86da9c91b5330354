"""The twins do what the methods do."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import async_to_sync

from django_durable.engine.errors import InstanceAlreadyExists, InstanceNotFound

from .orders import checkout

pytestmark = pytest.mark.django_db


def test_the_twins_start_send_steer_and_read(client, durable):
    async def use() -> None:
        assert (await client.astart_orchestration("a", "orders.waits")).created
        assert await checkout.astart(order_id=7, instance_id="b") == "b"
        await client.araise_event("a", "go", 1)
        await client.aenqueue_event("a", "jobs", 1)
        await client.asuspend_instance("b")
        await client.aresume_instance("b")
        assert (await client.aget_status("a")).runtime_status == "Pending"
        assert [each.instance_id for each in (await client.alist_instances()).items] == ["b", "a"]
        with pytest.raises(InstanceNotFound):
            await client.aterminate_instance("nobody")
        with pytest.raises(InstanceAlreadyExists):
            await client.astart_orchestration("b", "orders.checkout", 8)
        assert (await client.adelete_instance("b", force=True)).instances_deleted == 1

    async_to_sync(use)()
    durable.run()
    assert client.get_kv_value("a", "state") == {"step": 1}


def test_twins_may_run_side_by_side(client):
    async def use() -> list[bool]:
        starts = (client.astart_orchestration(f"order-{number % 5}", "orders.waits") for number in range(10))
        return [each.created for each in await asyncio.gather(*starts)]

    assert sorted(async_to_sync(use)()) == [False] * 5 + [True] * 5
