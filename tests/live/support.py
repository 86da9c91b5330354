"""Listening on the event loop of a test, while instances run on its thread."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async

from django_durable.live import Listener, Wish

PATIENCE = 30


def scenario(function: Callable[..., Any]) -> Callable[..., Any]:
    """Run an async test on this thread, where what it does with the database belongs to the test; it may not hang."""

    async def bounded(*args: Any, **kwargs: Any) -> Any:
        async with asyncio.timeout(PATIENCE * 2):
            return await function(*args, **kwargs)

    run = async_to_sync(bounded)

    def test(*args: Any, **kwargs: Any) -> Any:
        return run(*args, **kwargs)

    import functools

    return functools.wraps(function)(test)


class Somebody:
    """A viewer who is the same user until the test says otherwise. Counts how often the user was read."""

    def __init__(self, user: Any) -> None:
        self.now: Any = user
        self.read = 0

    def user(self) -> Any:
        self.read += 1
        return self.now


class Ear:
    """A listener, and everything that it was told, as a client reads it."""

    def __init__(self, viewer: Any) -> None:
        self.listener = Listener(viewer)
        self.told: list[dict[str, Any]] = []

    def subscribe(self, instance_id: str, **wish: Any) -> None:
        self.listener.subscribe(Wish(instance_id=instance_id, **wish))

    async def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Listen until a message is as wanted, and return it. What was told before counts, too."""
        looked = 0
        async with asyncio.timeout(PATIENCE):
            while True:
                for message in self.told[looked:]:
                    if condition(message):
                        return message
                looked = len(self.told)
                await self.hear()

    async def until_type(self, *types: str) -> dict[str, Any]:
        return await self.until(lambda message: message["type"] in types)

    async def hear(self) -> list[dict[str, Any]]:
        """Wait for what comes next."""
        async with asyncio.timeout(PATIENCE):
            new = [json.loads(each.as_json()) for each in await self.listener.next()]
        self.told += new
        return new

    def of_type(self, *types: str) -> list[dict[str, Any]]:
        return [message for message in self.told if message["type"] in types]

    def close(self) -> None:
        self.listener.close()


def in_thread(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that may use the database, to be awaited."""
    return sync_to_async(function)
