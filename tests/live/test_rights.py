"""Who is told what: by the project's rules, asked when a subscription begins and again while it lasts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser, Permission

from .support import Somebody, scenario
from .test_listening import start, step

VIEW, PAYLOAD = "view_instance", "view_payload"
SOON = {"LIVE_RECHECK": timedelta(milliseconds=20)}


@scenario
async def test_without_the_right_to_payloads_none_is_told(durable, user_with, ear_of) -> None:
    user = await sync_to_async(user_with)(VIEW)
    await start(durable, "order-7", "orders.doubles", 21)
    await start(durable, "order-8", "orders.fails")
    ear = ear_of(user)
    for name in ("order-7", "order-8"):
        ear.subscribe(name, history=True)
        await ear.until(lambda message, name=name: message["type"] == "done" and message["instance_id"] == name)

    private = {"output", "error", "blocked_reason", "payload", "data"}
    assert [private & each.keys() for each in ear.told if private & each.keys()] == []
    assert ear.of_type("history")
    assert "doubled" not in str(ear.of_type("done", "history"))


@pytest.mark.parametrize(
    ("held", "wish", "code"),
    [
        ((), {}, "not_found"),
        ((PAYLOAD,), {}, "not_found"),
        ((VIEW,), {"kv": True}, "permission_denied"),
        ((VIEW,), {}, None),
        ((VIEW,), {"history": True}, None),
        ((VIEW, PAYLOAD), {"history": True, "kv": True}, None),
    ],
)
def test_each_wish_needs_its_right(durable, user_with, ear_of, held, wish, code) -> None:
    @scenario
    async def told() -> dict:
        await start(durable, "order-7", "orders.counts", 1)
        ear = ear_of(await sync_to_async(user_with)(*held))
        ear.subscribe("order-7", **wish)
        return (await ear.hear())[0]

    message = told()
    assert message.get("code") == code
    assert (message["type"] == "snapshot") is (code is None)


@pytest.mark.parametrize(("instance_id", "code"), [("order-7", "not_authenticated"), ("public-7", None)])
def test_nobody_sees_what_the_rules_show_to_everybody(durable, ear_of, settings, instance_id, code) -> None:
    settings.DJANGO_DURABLE = {"PERMISSIONS": "tests.live.orders.OpenRules"}

    @scenario
    async def told() -> dict:
        await start(durable, instance_id, "orders.counts", 1)
        ear = ear_of(AnonymousUser())
        ear.subscribe(instance_id)
        return (await ear.hear())[0]

    assert told().get("code") == code


@scenario
async def test_nobody_is_not_told_whether_there_is_an_instance(durable, ear_of) -> None:
    await start(durable, "order-7", "orders.counts", 1)
    ear = ear_of(AnonymousUser())
    for name in ("order-7", "order-8"):
        ear.subscribe(name)
        await ear.until(lambda message, name=name: message["instance_id"] == name)

    assert [each["code"] for each in ear.told] == ["not_authenticated"] * 2


@scenario
async def test_a_customer_is_told_of_her_own_order_by_a_rule_of_the_project(
    durable, user_with, ear_of, settings
) -> None:
    settings.DJANGO_DURABLE = {"PERMISSIONS": "tests.live.orders.CustomerRules"}
    ear = ear_of(await sync_to_async(user_with)(username="ada"))
    await start(durable, "ada-1", "orders.doubles", 1)
    await start(durable, "bob-1", "orders.doubles", 1)
    ear.subscribe("ada-1")
    await ear.until_type("done")
    ear.subscribe("bob-1")
    assert (await ear.until_type("error"))["code"] == "not_found"
    ear.subscribe("ada-1", history=True)
    refused = await ear.until(lambda message: message.get("code") == "permission_denied")

    assert refused["instance_id"] == "ada-1"
    assert "output" not in ear.of_type("done")[0]


@scenario
async def test_a_right_that_is_withdrawn_ends_what_is_open(durable, user_with, ear_of, settings) -> None:
    settings.DJANGO_DURABLE = SOON
    user = await sync_to_async(user_with)(VIEW)
    await start(durable, "order-7", "orders.counts", 3)

    class Reread(Somebody):
        def user(self):
            super().user()
            return type(user).objects.get(pk=user.pk)

    viewer = Reread(user)
    ear = ear_of(viewer)
    ear.subscribe("order-7")
    await ear.until_type("snapshot")
    await user.user_permissions.aclear()
    problem = await ear.until_type("error")
    told = len(ear.told)
    await step(durable, "order-7")

    assert problem["code"] == "permission_denied"
    assert not ear.listener.watched
    assert len(ear.told) == told


@scenario
async def test_a_right_to_payloads_that_comes_later_opens_them(durable, user_with, ear_of, settings) -> None:
    settings.DJANGO_DURABLE = {**SOON, "LIVE_HEARTBEAT": timedelta(milliseconds=10)}
    viewer = Somebody(await sync_to_async(user_with)(VIEW))
    await start(durable, "order-7", "orders.counts", 1)
    ear = ear_of(viewer)
    ear.subscribe("order-7")
    await ear.until_type("snapshot")
    await viewer.now.user_permissions.aadd(await Permission.objects.aget(codename=PAYLOAD))
    viewer.now = await type(viewer.now).objects.aget(pk=viewer.now.pk)
    read = viewer.read
    while viewer.read == read:
        await ear.hear()
    await step(durable, "order-7")

    assert (await ear.until_type("done"))["output"] == {"counted": 1}


@scenario
async def test_who_logs_out_is_told_nothing_more(durable, user_with, ear_of, settings) -> None:
    settings.DJANGO_DURABLE = SOON
    viewer = Somebody(await sync_to_async(user_with)(VIEW))
    await start(durable, "order-7", "orders.counts", 1)
    ear = ear_of(viewer)
    ear.subscribe("order-7")
    await ear.until_type("snapshot")
    viewer.now = AnonymousUser()

    assert (await ear.until_type("error"))["code"] == "not_authenticated"
