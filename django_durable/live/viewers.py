"""Who listens, and what they may see. A connection lives longer than a request, so its user is read anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import Any, Protocol, TypeVar

from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.contrib import auth

from ..permissions import DurablePermissions, Permitted, Right
from ..store import connections

T = TypeVar("T")


class Viewer(Protocol):
    """Whose connection it is."""

    def user(self) -> Any:
        """Return the user as of now: anonymous once logged out, expired or deactivated. May use the database."""
        ...


@dataclass(frozen=True, slots=True)
class Grants:
    """What a user may see of one instance. Inspecting, payloads and streams need viewing as well."""

    view: bool
    inspect: bool
    payload: bool
    streams: frozenset[str] = frozenset()


def grants_of(rules: DurablePermissions, user: Any, instance: Permitted, streams: Iterable[str] = ()) -> Grants:
    """Ask the project's rules, also about these streams."""
    view, inspect, payload = (
        rules.allows(user, right, instance) for right in (Right.VIEW, Right.INSPECT, Right.VIEW_PAYLOAD)
    )
    readable = frozenset(name for name in streams if rules.allows_reading(user, instance, name))
    return Grants(view, inspect, payload, readable)


async def in_database_thread(function: Callable[[], T]) -> T:
    """Call a function where the ORM may be used, with connections as fresh as those of a request."""

    def call() -> T:
        connections.refresh()
        try:
            return function()
        finally:
            connections.refresh()

    return await sync_to_async(call)()


class SessionViewer:
    """The user of a session, read anew; or, where no session logs in, whoever the project's middleware found.

    Args:
        user, session: Of a request or a scope, as they were when the connection was opened.
    """

    def __init__(self, user: Any, session: Any) -> None:
        self._user = user
        self._session = session
        self._by_session: bool | None = None

    def user(self) -> Any:
        """Return the user as of now."""
        if self._by_session is None:
            # Decided once: what the session knew is kept here, and its store may forget it.
            self._by_session = self._logs_in()
        return user_of_session(self._session.session_key) if self._by_session else user_again(self._user)

    def _logs_in(self) -> bool:
        """Tell whether the session is what logs the user in, and not a token beside it."""
        user = getattr(self._user, "pk", None)
        return self._session is not None and user is not None and self._session.get(auth.SESSION_KEY) == str(user)


class _ReadSession(dict[str, Any]):
    """A session's data to look at. Who is found to be logged out here keeps the session of the browser as it is."""

    def flush(self) -> None: ...

    def cycle_key(self) -> None: ...


def user_of_session(key: str | None) -> Any:
    """Return the user whom a session logs in as of now; anonymous where it is over, or the password has changed."""
    store = import_module(django_settings.SESSION_ENGINE).SessionStore
    data = store(key).load() if key else {}
    return auth.get_user(SimpleNamespace(session=_ReadSession(data)))  # type: ignore[arg-type]


def user_again(user: Any) -> Any:
    """Return a user as the authentication backends have them now; anonymous where they no longer do."""
    from django.contrib.auth.models import AnonymousUser

    if not getattr(user, "is_authenticated", False):
        return AnonymousUser()
    found = (backend.get_user(user.pk) for backend in auth.get_backends() if hasattr(backend, "get_user"))
    return next((each for each in found if each is not None), AnonymousUser())
