from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from tests.live.conftest import boss, durable, user_with

from .servers import Server
from .sockets import Socket, application

__all__ = ["boss", "durable", "server", "socket", "user_with"]


def session_of(user: Any) -> SessionStore:
    """Log a user in, as a browser would be."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return session


@pytest.fixture
def socket() -> Callable[..., AbstractAsyncContextManager[Socket]]:
    """Connects a user, or nobody, to an address: `async with socket(user, "order-7") as open:`."""

    @asynccontextmanager
    async def connect(user: Any, instance_id: str | None = None, query: str = "") -> AsyncIterator[Socket]:
        from asgiref.sync import sync_to_async

        session = None if user is None else await sync_to_async(session_of)(user)
        cookies = {} if session is None else {django_settings.SESSION_COOKIE_NAME: session.session_key}
        path = "/ws/durable/" if instance_id is None else f"/ws/durable/instances/{instance_id}/"
        opened = Socket(application, f"{path}?{query}", cookies, session)
        await opened.connect()
        yield opened
        await opened.disconnect()

    return connect


@pytest.fixture
def server(tmp_path, database_environment, durable_db) -> Iterator[Callable[..., Server]]:
    """Starts a server of the test's database; keywords are keys of `DJANGO_DURABLE`, durations in seconds."""
    started: list[Server] = []

    def start(**settings: Any) -> Server:
        started.append(Server(tmp_path / f"server-{len(started)}.log", database_environment, **settings))
        started[-1].start()
        return started[-1]

    yield start
    for each in started:
        each.stop()
