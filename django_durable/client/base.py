"""What every part of the client shares: whose names, which database, what time it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from ..conf import settings
from ..engine.errors import InvalidArgument, LimitExceeded
from ..registry import Registry, default

# What no id or name may hold: control characters, which logs and URLs do not survive and PostgreSQL refuses in part,
# and halves of surrogate pairs, which are not text.
_UNUSABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def _system_clock() -> datetime:
    return datetime.now(timezone.utc)


class ClientBase:
    """Registry, database alias and clock.

    Args:
        registry: Names and types for starts and outputs. The first client of a registry carries out its
            `definition.start(...)`.
        using: Database alias; by default `DJANGO_DURABLE["DATABASE"]`, read at every call.
        clock: Returns the time as aware UTC; for tests.
    """

    def __init__(
        self,
        registry: Registry = default,
        *,
        using: str | None = None,
        clock: Callable[[], datetime] = _system_clock,
    ) -> None:
        self.registry = registry
        self._given_using = using
        self._clock = clock

    @property
    def using(self) -> str:
        """The alias of the database that this client reads and writes."""
        return self._given_using or settings.DATABASE

    def _decoded(self, payload: str | None, type: Any = Any) -> Any:
        return None if payload is None else self.registry.codec.decode(payload, type)

    def _checked_id(self, instance_id: str) -> str:
        return _checked(instance_id, "instance id", self.registry.environment.limits.instance_id_length)

    def _checked_name(self, name: str, what: str) -> str:
        return _checked(name, what, self.registry.environment.limits.name_length)


def _checked(text: str, what: str, longest: int) -> str:
    """Return an id or name. Raises: InvalidArgument, LimitExceeded."""
    if not isinstance(text, str) or not text:
        raise InvalidArgument(f"The {what} is {text!r:.80}, expected a string of 1 to {longest} characters.")
    if len(text) > longest:
        raise LimitExceeded(f"The length of the {what}", len(text), longest)
    if found := _UNUSABLE.search(text):
        raise InvalidArgument(
            f"The {what} {text!r:.80} has the character {found[0]!r} at position {found.start()}. Leave control "
            f"characters out."
        )
    return text
