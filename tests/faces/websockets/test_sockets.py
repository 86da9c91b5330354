"""The two sockets: what they say, how they end, and what they make of nonsense."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async

from tests.live.support import scenario
from tests.live.test_listening import start, step

VIEW, PAYLOAD = "view_instance", "view_payload"


@scenario
async def test_the_socket_of_one_instance_shows_it_until_it_is_done(durable, boss, socket) -> None:
    await start(durable, "order-7", "orders.counts", 1)
    async with socket(boss, "order-7") as one:
        await one.until_type("snapshot")
        await step(durable, "order-7")
        code = await one.until_closed()

    assert code == 1000
    assert one.told[0]["type"] == "snapshot"
    assert one.told[0]["custom_status"]["text"] == "<i>0</i>", "markup is text in JSON, and nothing else"
    assert one.told[-1]["type"] == "done"
    assert one.told[-1]["output"] == {"counted": 1}


@scenario
async def test_many_instances_are_watched_on_one_socket(durable, boss, socket) -> None:
    for name in ("order-1", "order-2"):
        await durable.client.astart_orchestration(name, "orders.doubles", 2)
    async with socket(boss) as many:
        for name in ("order-1", "order-2", "order-3"):
            await many.subscribe(name)
        await many.until_type("error")
        await sync_to_async(durable.run)()
        await many.until(lambda _: sum(each["type"] == "done" for each in many.told) == 2)
        await many.pong()

    refused = [each for each in many.told if each["type"] == "error"]
    assert [(each["code"], each["instance_id"]) for each in refused] == [("not_found", "order-3")]


@scenario
async def test_who_unsubscribes_is_told_nothing_more(durable, boss, socket) -> None:
    await start(durable, "order-1", "orders.counts", 5)
    await start(durable, "order-2", "orders.counts", 5)
    async with socket(boss) as many:
        for name in ("order-1", "order-2"):
            await many.subscribe(name)
            await many.until(lambda message, name=name: message["instance_id"] == name)
        await many.send({"type": "unsubscribe", "instance_id": "order-1"})
        await many.send({"type": "unsubscribe", "instance_id": "order-9"})
        await many.pong()
        for name in ("order-1", "order-2"):
            await step(durable, name)
        change = await many.until_type("status")

    assert change["instance_id"] == "order-2"
    assert [each["instance_id"] for each in many.told if each["type"] != "pong"] == ["order-1", "order-2", "order-2"]


@scenario
async def test_wishes_stand_in_the_address_of_one_instance(durable, boss, socket) -> None:
    await start(durable, "a/b %25", "orders.counts", 0)
    for written in ("a%252Fb%20%252525", "a/b%20%2525"):
        async with socket(boss, written, "history=1&kv=true&after=1.1") as one:
            assert await one.until_closed() == 1000
        assert {"snapshot", "history", "kv", "done"} == {each["type"] for each in one.told}
        assert min(each["seq"] for each in one.told if each["type"] == "history") == 2
        assert {each["instance_id"] for each in one.told} == {"a/b %25"}


@scenario
async def test_a_socket_goes_on_where_another_was(durable, boss, socket) -> None:
    await start(durable, "order-7", "orders.counts", 5)
    async with socket(boss, "order-7") as one:
        seen = await one.until_type("snapshot")
    async with socket(boss, "order-7", f"since={seen['position']}") as one:
        assert (await one.hear())["type"] == "unchanged"
    await step(durable, "order-7")
    async with socket(boss) as many:
        await many.subscribe("order-7", since=seen["position"])
        assert (await many.until_type("snapshot"))["custom_status"]["count"] == 1


@scenario
async def test_an_idle_socket_hears_heartbeats(durable, boss, socket, settings) -> None:
    settings.DJANGO_DURABLE = {"LIVE_HEARTBEAT": timedelta(milliseconds=20)}
    async with socket(boss) as many:
        await many.until_type("heartbeat")


# How sockets end.


@pytest.mark.parametrize(
    ("held", "instance_id", "query", "code"),
    [
        (None, "order-7", "", 4401),
        (None, "order-9", "", 4401),
        ((), "order-7", "", 4404),
        ((PAYLOAD,), "order-7", "", 4404),
        ((VIEW,), "order-9", "", 4404),
        ((VIEW,), "order-7", "kv=1", 4403),
        ((VIEW,), "order-7", "since=nonsense", 4400),
        ((VIEW,), "order-7", "history=perhaps", 4400),
        ((VIEW,), "order-7", "what=1", 4400),
        ((VIEW,), "order-7" * 100, "", 4400),
    ],
)
def test_a_refused_socket_is_closed_with_the_reason(durable, user_with, socket, held, instance_id, query, code) -> None:
    @scenario
    async def closed() -> tuple[int, list[dict]]:
        await start(durable, "order-7", "orders.counts", 1)
        user = None if held is None else await sync_to_async(user_with)(*held)
        async with socket(user, instance_id, query) as one:
            return await one.until_closed(), one.told

    found, told = closed()
    assert found == code
    assert [each["type"] for each in told] == ["error"], "and nothing of the instance"


@scenario
async def test_a_deleted_instance_closes_its_socket(durable, boss, socket) -> None:
    await start(durable, "order-7", "orders.counts", 1)
    async with socket(boss, "order-7") as one:
        await one.until_type("snapshot")
        await durable.client.adelete_instance("order-7", force=True)
        assert await one.until_closed() == 4404
    assert one.told[-1]["type"] == "gone"


@pytest.mark.parametrize(
    ("withdraw", "code"),
    [
        (lambda user, session: user.user_permissions.clear(), 4403),
        (lambda user, session: session.delete(), 4401),
        (lambda user, session: session.set_expiry(-1) or session.save(), 4401),
        (lambda user, session: type(user).objects.filter(pk=user.pk).update(is_active=False), 4401),
        (lambda user, session: user.set_password("new") or user.save(), 4401),
        (lambda user, session: user.delete(), 4401),
    ],
    ids=["permission", "logout", "expiry", "deactivated", "password", "deleted"],
)
@pytest.mark.parametrize("many", [False, True])
def test_who_may_see_it_no_longer_is_told_so_within_the_time_of_a_setting(
    durable, user_with, socket, settings, withdraw, code, many
) -> None:
    settings.DJANGO_DURABLE = {"LIVE_RECHECK": timedelta(milliseconds=20)}

    @scenario
    async def ended() -> tuple[str, int | None]:
        await start(durable, "order-7", "orders.counts", 1)
        user = await sync_to_async(user_with)(VIEW)
        async with socket(user, None if many else "order-7") as one:
            if many:
                await one.subscribe("order-7")
            await one.until_type("snapshot")
            await sync_to_async(withdraw)(user, one.session)
            problem = await one.until_type("error")
            if many and code != 4401:
                await one.pong()
            else:
                await one.until_closed()
            return problem["code"], one.code

    assert ended() == (
        {4403: "permission_denied", 4401: "not_authenticated"}[code],
        None if many and code != 4401 else code,
    )


@scenario
async def test_nobody_who_may_see_nothing_is_sent_away(durable, socket) -> None:
    await start(durable, "order-7", "orders.counts", 1)
    async with socket(None) as many:
        await many.pong()
        await many.subscribe("order-7")
        assert await many.until_closed() == 4401


@scenario
async def test_nobody_keeps_what_the_rules_show_to_everybody(durable, socket, settings) -> None:
    settings.DJANGO_DURABLE = {"PERMISSIONS": "tests.live.orders.OpenRules"}
    await start(durable, "order-7", "orders.counts", 1)
    await start(durable, "public-7", "orders.counts", 1)
    async with socket(None) as many:
        await many.subscribe("public-7")
        await many.until_type("snapshot")
        await many.subscribe("order-7")
        assert (await many.until_type("error"))["code"] == "not_authenticated"
        await many.pong()


# Nonsense.


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("", "bad_message"),
        ("{", "bad_message"),
        ("[" * 10_000, "bad_message"),
        ('"subscribe"', "bad_message"),
        ("[]", "bad_message"),
        ("{}", "bad_message"),
        ({"type": "shout"}, "bad_message"),
        ({"type": ["subscribe"]}, "bad_message"),
        ({"type": "subscribe"}, "bad_message"),
        ({"type": "subscribe", "instance_id": 7}, "bad_message"),
        ({"type": "subscribe", "instance_id": ""}, "bad_message"),
        ({"type": "subscribe", "instance_id": "a" * 513}, "bad_message"),
        ({"type": "subscribe", "instance_id": "order-7", "since": 5}, "bad_message"),
        ({"type": "subscribe", "instance_id": "order-7", "since": "5"}, "bad_message"),
        ({"type": "subscribe", "instance_id": "order-7", "after": "x"}, "bad_message"),
        ({"type": "subscribe", "instance_id": "order-7", "history": 1}, "bad_message"),
        ({"type": "subscribe", "instance_id": "order-7", "limit": 1}, "bad_message"),
        ({"type": "unsubscribe"}, "bad_message"),
        ({"type": "ping", "payload": "x"}, "bad_message"),
        (b"\x00\xff", "bad_message"),
        ('{"type": "ping", "padding": "' + "x" * 20_000 + '"}', "too_large"),
    ],
)
def test_nonsense_is_answered_and_the_socket_goes_on(durable, boss, socket, frame, code) -> None:
    @scenario
    async def answered() -> dict:
        await start(durable, "order-7", "orders.counts", 1)
        async with socket(boss) as many:
            await (many.send_bytes(frame) if isinstance(frame, bytes) else many.send(frame))
            problem = await many.until_type("error")
            await many.subscribe("order-7")
            await many.until_type("snapshot")
            return problem

    problem = answered()
    assert problem["code"] == code
    assert len(problem["detail"]) < 400


@pytest.mark.parametrize("text", ['{"type": "subscribe", "instance_id": "a\\u0000b"}', '"\\ud800"'])
def test_ids_that_no_database_can_have_are_answered(durable, boss, socket, text) -> None:
    @scenario
    async def answered() -> dict:
        async with socket(boss) as many:
            await many.send(text)
            problem = await many.until_type("error")
            await many.pong()
            return problem

    assert answered()["code"] in ("bad_message", "not_found")


@scenario
async def test_one_instance_is_watched_and_no_other_on_its_socket(durable, boss, socket) -> None:
    await start(durable, "order-7", "orders.counts", 1)
    async with socket(boss, "order-7") as one:
        await one.subscribe("order-8")
        assert (await one.until_type("error"))["code"] == "bad_message"
        await one.pong()


@scenario
async def test_who_wants_too_many_is_told_which_one_was_too_many(durable, boss, socket, settings) -> None:
    settings.DJANGO_DURABLE = {"LIVE_MAX_SUBSCRIPTIONS": 1}
    for name in ("order-1", "order-2"):
        await start(durable, name, "orders.counts", 1)
    async with socket(boss) as many:
        await many.subscribe("order-1")
        await many.subscribe("order-2")
        problem = await many.until_type("error")
        await many.pong()

    assert (problem["code"], problem["instance_id"]) == ("too_many", "order-2")


@scenario
async def test_who_sends_too_fast_is_sent_away_and_others_are_served(durable, boss, socket, settings) -> None:
    settings.DJANGO_DURABLE = {"LIVE_MAX_SUBSCRIPTIONS": 5, "LIVE_MAX_MESSAGES_PER_SECOND": 1}
    async with socket(boss) as many:
        for _ in range(20):
            await many.send({"type": "ping"})
        assert await many.until_closed() == 4429
    assert many.told[-1]["code"] == "too_fast"
    async with socket(boss) as another:
        await another.pong()


def test_without_channels_the_app_works_and_the_import_says_which_extra_to_install() -> None:
    script = """
import sys
sys.modules.update(dict.fromkeys(["channels", "daphne"]))
import django
from django.conf import settings
settings.INSTALLED_APPS = [each for each in settings.INSTALLED_APPS if each != "daphne"]
django.setup()
from django.core.exceptions import ImproperlyConfigured
import django_durable.api.urls
try:
    import django_durable.websockets.routing
except ImproperlyConfigured as error:
    print(error)
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "pip install 'django-durable-workflows[websockets]'" in found.stdout
