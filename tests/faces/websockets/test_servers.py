"""A real server and real clients: hundreds of them, and one that comes back after the server was restarted."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.request import urlopen

from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from django_durable.live.tail import SHORTEST_PAUSE
from tests.live.support import scenario
from tests.live.test_listening import start, step

from .conftest import session_of
from .servers import Server

CLIENTS = 200
PATIENCE = 60


class Client:
    """One connection to a server, and everything it was told."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.told: list[dict[str, Any]] = []

    @classmethod
    async def of(cls, server: Server, session: str, path: str) -> Client:
        cookie = {"Cookie": f"{django_settings.SESSION_COOKIE_NAME}={session}"}
        url = f"ws://{server.address}/ws/durable/{path}"
        return cls(await connect(url, additional_headers=cookie, open_timeout=PATIENCE, proxy=None))

    async def send(self, **message: Any) -> None:
        await self.send_frame(json.dumps(message))

    async def send_frame(self, frame: str | bytes) -> None:
        await self._connection.send(frame)

    async def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            while True:
                self.told.append(json.loads(await self._connection.recv()))
                if condition(self.told[-1]):
                    return self.told[-1]

    async def until_type(self, *types: str) -> dict[str, Any]:
        return await self.until(lambda message: message["type"] in types)

    async def until_closed(self) -> int | None:
        with suppress(ConnectionClosed):
            await self.until(lambda _: False)
        await self._connection.wait_closed()
        return self._connection.close_code

    async def close(self) -> None:
        await self._connection.close()

    async def close_unread(self) -> None:
        """Say goodbye, and read nothing more: what the server has not sent yet keeps it from hanging up."""
        self._connection.transport.pause_reading()
        self._connection.protocol.send_close(1001)
        self._connection.transport.writelines(self._connection.protocol.data_to_send())

    async def vanish(self) -> None:
        """Go without a word."""
        self._connection.transport.abort()
        await self._connection.wait_closed()


def looks(server: Server) -> dict[str, int]:
    with urlopen(f"http://{server.address}/looks/") as answer:
        return json.load(answer)


@scenario
async def test_hundreds_of_clients_see_the_end_and_the_database_sees_one_tail(durable, boss, server) -> None:
    """200 on one instance, and 200 on different ones."""
    await start(durable, "order-all", "orders.counts", 3)
    for number in range(CLIENTS):
        await start(durable, f"order-{number}", "orders.counts", 1)
    running: Server = await sync_to_async(server)()
    session = (await sync_to_async(session_of)(boss)).session_key
    began = time.monotonic()
    paths = ["instances/order-all/"] * CLIENTS + [f"instances/order-{number}/" for number in range(CLIENTS)]
    clients = [await Client.of(running, session, path) for path in paths]
    await asyncio.gather(*(each.until_type("snapshot") for each in clients))
    for _ in range(3):
        await step(durable, "order-all")

    def step_all() -> None:
        for number in range(CLIENTS):
            durable.client.enqueue_event(f"order-{number}", "steps", None)
        durable.run()

    await sync_to_async(step_all)()
    codes = await asyncio.gather(*(each.until_closed() for each in clients))
    rounds = (time.monotonic() - began) / SHORTEST_PAUSE

    assert set(codes) == {1000}
    assert [each.told[-1]["type"] for each in clients] == ["done"] * 2 * CLIENTS
    assert {each.told[-1]["output"]["counted"] for each in clients[:CLIENTS]} == {3}
    assert {each.told[-1]["instance_id"] for each in clients[CLIENTS:]} == {f"order-{n}" for n in range(CLIENTS)}
    asked = await asyncio.to_thread(looks, running)
    assert 0 < asked["tail"] <= rounds + 2, "one query per round, and a pause between two rounds"
    assert asked["status"] == 0
    assert asked["tail"] < 2 * CLIENTS, "less than one for each, though each saw several changes"


@scenario
async def test_a_client_goes_on_after_the_server_was_restarted(durable, boss, server) -> None:
    await start(durable, "order-7", "orders.counts", 3)
    await start(durable, "order-8", "orders.counts", 3)
    running: Server = await sync_to_async(server)()
    session = (await sync_to_async(session_of)(boss)).session_key
    client = await Client.of(running, session, "")
    positions = {}
    for name in ("order-7", "order-8"):
        await client.send(type="subscribe", instance_id=name, history=True)
    while len(positions) < 2:
        message = await client.until(lambda message: message.get("kind") == "CustomStatusUpdated")
        positions[message["instance_id"]] = message["position"]
    await asyncio.to_thread(running.stop)
    assert await client.until_closed() != 1000
    await step(durable, "order-7")
    await asyncio.to_thread(running.start)
    again = await Client.of(running, session, "")
    for name, position in positions.items():
        await again.send(type="subscribe", instance_id=name, since=position, history=True)
    await again.until(lambda message: message.get("kind") == "CustomStatusUpdated")
    while not {"unchanged", "snapshot"} <= {each["type"] for each in again.told}:
        await again.until_type("unchanged", "snapshot")
    await again.close()

    found = {each["instance_id"]: each["type"] for each in again.told if each["type"] != "history"}
    assert found == {"order-7": "snapshot", "order-8": "unchanged"}
    missed = [each["seq"] for each in again.told if each["type"] == "history" and each["instance_id"] == "order-7"]
    first = [each["seq"] for each in client.told if each["type"] == "history" and each["instance_id"] == "order-7"]
    before = [seq for seq in first if seq <= int(positions["order-7"].split(".")[3])]
    assert before + missed == list(range(1, missed[-1] + 1)), "no event is missing, and none is told twice"


@scenario
async def test_a_server_goes_on_after_what_no_client_should_send(durable, boss, server) -> None:
    await start(durable, "order-7", "orders.counts", 1)
    running: Server = await sync_to_async(server)()
    session = (await sync_to_async(session_of)(boss)).session_key
    rude = await Client.of(running, session, "")
    for frame in ("{", b"\x00", "x" * 1_000_000, "[" * 10_000):
        await rude.send_frame(frame)
        assert (await rude.until_type("error"))["code"] in ("bad_message", "too_large")
    await rude.vanish()
    polite = await Client.of(running, session, "instances/order-7/")

    assert (await polite.until_type("snapshot"))["instance_id"] == "order-7"
    await polite.close()
    assert "Traceback" not in running.log


@scenario
async def test_a_client_that_leaves_while_it_is_told_something_is_no_error(durable, boss, server) -> None:
    await start(durable, "order-7", "orders.counts", 40)
    for _ in range(20):
        await durable.client.aenqueue_event("order-7", "steps", secrets.token_hex(250_000))
    await sync_to_async(durable.run)()
    running: Server = await sync_to_async(server)()
    session = (await sync_to_async(session_of)(boss)).session_key
    leaving = await Client.of(running, session, "")
    watching = await Client.of(running, session, "instances/order-7/")
    await leaving.send(type="subscribe", instance_id="order-7", history=True)
    await leaving.until_type("history")
    await leaving.close_unread()
    for count in range(21, 24):
        await step(durable, "order-7")
        await watching.until(lambda message, n=count: message["custom_status"]["count"] == n)
    await leaving.vanish()
    await watching.close()
    await asyncio.to_thread(running.stop)

    assert "Traceback" not in running.log
