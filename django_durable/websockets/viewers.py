"""The user of a socket: who its session logs in as of now, or whoever the project's middleware put into the scope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth import SESSION_KEY

from ..live.viewers import user_again, user_of_session


class SocketViewer:
    """Reads the user of a scope anew: a logout, an expired session, a deactivated user end what they may see."""

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self._user = scope.get("user")
        self._session: Any = scope.get("session")
        self._by_session: bool | None = None

    def user(self) -> Any:
        if self._by_session is None:
            # What was read at the handshake is kept: the store may have forgotten the session by now.
            self._by_session = self._logs_in()
        return user_of_session(self._session.session_key) if self._by_session else user_again(self._user)

    def _logs_in(self) -> bool:
        """Tell whether the session is what logs the user in, and not a token beside it."""
        user = getattr(self._user, "pk", None)
        return self._session is not None and user is not None and self._session.get(SESSION_KEY) == str(user)
