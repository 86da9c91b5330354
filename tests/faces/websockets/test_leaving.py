"""Clients of event streams and long polls that leave in the middle, on a real server: nobody is told of an error."""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as django_settings

from tests.live.support import PATIENCE, scenario
from tests.live.test_listening import start, step

from .conftest import session_of
from .servers import Server

ORDER = "/durable/instances/order-7/"
EVENTS = f"{ORDER}changes/?history=true"
POLL = f"{ORDER}status/?wait=30&since="


class Caller:
    """One request over a connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def of(cls, server: Server, session: str, path: str) -> Caller:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=4096)
        cookie = f"{django_settings.SESSION_COOKIE_NAME}={session}"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {server.address}\r\nCookie: {cookie}\r\n\r\n".encode())
        await writer.drain()
        return cls(reader, writer)

    async def until(self, told: bytes) -> None:
        """Read until something was told, and nothing after it."""
        async with asyncio.timeout(PATIENCE):
            read = b""
            while told not in read:
                found = await self._reader.read(4096)
                assert found, read
                read = read[-len(told) :] + found

    def stop_reading(self) -> None:
        self._writer.transport.pause_reading()

    def leave(self, *, politely: bool) -> None:
        """Hang up: with a goodbye, or at once, as a browser whose machine is put to sleep."""
        if not politely:
            raw = self._writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


@pytest.mark.parametrize("politely", [True, False], ids=["closed", "reset"])
@scenario
async def test_callers_that_leave_in_the_middle_are_no_error(durable, boss, server, politely) -> None:
    await start(durable, "order-7", "orders.counts", 40)
    for _ in range(20):
        await durable.client.aenqueue_event("order-7", "steps", secrets.token_hex(250_000))
    await sync_to_async(durable.run)()
    running: Server = await sync_to_async(server)(LIVE_HEARTBEAT=1)
    session = (await sync_to_async(session_of)(boss)).session_key
    revision = (await durable.client.aget_status("order-7")).revision
    watching, reading, in_the_middle = [await Caller.of(running, session, EVENTS) for _ in range(3)]
    polling = await Caller.of(running, session, f"{POLL}{revision}")
    await reading.until(b'"count":20')
    await in_the_middle.until(b"data: ")
    in_the_middle.stop_reading()
    count = 20
    for leaving in (polling, reading, in_the_middle):
        leaving.leave(politely=politely)
        for _ in range(2):
            count += 1
            await step(durable, "order-7")
            await watching.until(f'"count":{count}'.encode())

    for _ in range(2):  # The server looks after its requests once a second.
        await watching.until(b": heartbeat")
    # That the last one leaves while the server ends may be logged, by Django.
    found = running.log
    watching.leave(politely=politely)
    assert "Traceback" not in found
    assert "never retrieved" not in found
