"""What every part of the client shares: whose names, which database, what time it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ..conf import settings
from ..engine.arguments import checked_text
from ..engine.errors import InvalidArgument
from ..registry import Registry
from ..store.connections import checked_alias

# Not in the ids that callers choose: logs and URLs do not survive them.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def system_clock() -> datetime:
    """Return the machine's time."""
    return datetime.now(UTC)


class ClientBase:
    """Registry, database alias and clock; see `Client`."""

    def __init__(
        self,
        registry: Registry,
        *,
        using: str | None,
        clock: Callable[[], datetime],
    ) -> None:
        self.registry = registry
        self._given_using = using
        self._clock = clock

    @property
    def using(self) -> str:
        """The alias of the database that this client reads and writes. Raises: WrongDatabase: it is none."""
        return checked_alias(self._given_using) if self._given_using else settings.DATABASE

    def _decoded(self, payload: str | None, type: Any = Any) -> Any:
        return None if payload is None else self.registry.codec.decode(payload, type)

    def _checked_id(self, instance_id: str) -> str:
        return checked_text(instance_id, "instance id", self.registry.environment.limits.instance_id_length)

    def _checked_new_id(self, instance_id: str) -> str:
        if isinstance(instance_id, str) and (found := _CONTROL.search(instance_id)):
            raise InvalidArgument(
                f"The instance id is {instance_id!r:.80}, expected one without control characters; {found[0]!r} is at "
                f"position {found.start()}."
            )
        return self._checked_id(instance_id)

    def _checked_name(self, name: str, what: str) -> str:
        return checked_text(name, what, self.registry.environment.limits.name_length)
