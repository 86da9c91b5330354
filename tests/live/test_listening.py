"""What a listener is told: a snapshot, every change after it, the end; and where it goes on when it comes back."""

from __future__ import annotations

from asgiref.sync import sync_to_async

from django_durable.live import position_from_text

from .support import scenario


@scenario
async def test_the_snapshot_comes_first_then_changes_by_revision_then_the_end(durable, boss, ear_of) -> None:
    await durable.client.astart_orchestration("order-7", "orders.counts", 2)
    await sync_to_async(durable.run)()
    ear = ear_of(boss)
    ear.subscribe("order-7")
    await ear.until_type("snapshot")
    for count in (1, 2):
        await durable.client.aenqueue_event("order-7", "steps", None)
        await sync_to_async(durable.run)()
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
