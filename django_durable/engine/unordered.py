"""What asyncio would do in the order of a set, so by addresses, or by how large it once was: no history records those.

Both are told by the frame that asks the loop for a task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import FrameType
from typing import Any

from .errors import ForbiddenInOrchestration

_ENSURED_IN = asyncio.ensure_future.__code__.co_filename


class OrderedTasks:
    """The set of tasks that a `TaskGroup` keeps, in the order in which they were created."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[Any], None] = {}

    def __iter__(self) -> Iterator[asyncio.Task[Any]]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)

    def add(self, task: asyncio.Task[Any]) -> None:
        """Put a task behind the others."""
        self._tasks[task] = None

    def discard(self, task: asyncio.Task[Any]) -> None:
        """Take a task out, if it is there."""
        self._tasks.pop(task, None)


def keep_in_order(frame: FrameType | None) -> None:
    """Let a `TaskGroup` that is creating its first task cancel its tasks in order, should it ever fail."""
    if frame is None or frame.f_back is None or frame.f_back.f_code is not asyncio.TaskGroup.create_task.__code__:
        return
    group = frame.f_back.f_locals["self"]
    if type(group._tasks) is set and not group._tasks:
        group._tasks = OrderedTasks()


def refuse_coroutines(frame: FrameType | None) -> None:
    """Refuse coroutines given to `asyncio.as_completed`: it starts them in the order of a set, so of their addresses.

    Raises: ForbiddenInOrchestration: give it futures or tasks, which have an order.
    """
    # The way from there leads over ensure_future and, on Python 3.11, a helper of it and a set comprehension.
    for _ in range(4):
        frame = frame.f_back if frame is not None else None
        if frame is None or frame.f_code.co_filename != _ENSURED_IN:
            return
        if frame.f_code is asyncio.as_completed.__code__:
            raise ForbiddenInOrchestration(
                "Giving coroutines to asyncio.as_completed(), which starts them in an order of its own (wrap each in "
                "asyncio.create_task() before),"
            )
