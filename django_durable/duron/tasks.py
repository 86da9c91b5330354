"""Duron's task: an instance as the session that started it has it."""

from __future__ import annotations

import functools
from typing import Any, TypeVar

from .. import session
from ..engine.errors import PromiseNotFound
from .ports import Port

R = TypeVar("R")


class Task(session.Task[R]):
    """As `session.Task`, with Duron's names for promises."""

    async def complete_future(
        self, id: str, *, result: Any = None, exception: BaseException | None = None, result_type: Any = None
    ) -> None:
        """Settle a promise that the code made by `ctx.create_future()`; the first who does wins.

        Raises: PromiseSettled: somebody else was first. PromiseNotFound.
        """
        await self
        client, name = self._session.client, self.instance_id
        if exception is not None:
            await client.afail_promise(name, id, exception)
        else:
            await client.acomplete_promise(name, id, result)

    def open_stream(self, name: str, mode: str = "r", **options: Any) -> Any:
        """Open one of its streams by name; with `await` or without."""
        return Port(functools.partial(super().open_stream, name, mode, **options))

    async def is_future_pending(self, id: str) -> bool:
        """Tell whether a promise is still to be settled; one that does not exist is not."""
        await self
        try:
            return (await self._session.client.aget_promise(self.instance_id, id)).is_open
        except PromiseNotFound:
            return False
