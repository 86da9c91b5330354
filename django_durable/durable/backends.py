"""What a durable program needs of the world around it: its state kept, and its events."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .stores import State, StateStore

if TYPE_CHECKING:
    from .runtime import DurableRuntime


@dataclass(frozen=True, slots=True)
class Event:
    """An event that has arrived; `payload` is the value of `await pause(...)`."""

    payload: Any = None


class OrchestrationBackend(ABC):
    """Derive from this to keep states and to wait for events elsewhere."""

    @abstractmethod
    async def load_state(self, instance_id: str) -> State | None:
        """Return the state that was saved last, or None."""

    @abstractmethod
    async def save_state(self, instance_id: str, state: State) -> None:
        """Keep a state: JSON-ready data."""

    @abstractmethod
    async def wait_for_event(self, instance_id: str, event_name: str) -> None:
        """Return once the event has arrived."""

    async def take_event(self, instance_id: str, event_name: str, *, again: bool) -> Event | None:
        """Return the oldest event of this name that nothing has taken; None where the program has to pause.

        Args:
            again: Whether the program paused here before and is now run again; here, whoever does that says by it that
                the event has arrived.
        """
        return Event() if again else None

    async def run(self, runtime: DurableRuntime, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a program until it pauses or ends; here, in the caller's loop."""
        return await runtime.run_here(args, kwargs)


class DurableBackend(OrchestrationBackend):
    """Keeps states in a store, and events in this process: published before they are waited for, they are kept."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._events: dict[tuple[str, str], deque[Event]] = defaultdict(deque)
        self._published: dict[tuple[str, str], asyncio.Event] = {}

    async def load_state(self, instance_id: str) -> State | None:
        return await self._store.load(instance_id)

    async def save_state(self, instance_id: str, state: State) -> None:
        await self._store.save(instance_id, state)

    def publish_event(self, instance_id: str, event_name: str, payload: Any = None) -> None:
        """Publish an event to an instance; on the loop's thread."""
        place = instance_id, event_name
        self._events[place].append(Event(payload))
        if (waiting := self._published.pop(place, None)) is not None:
            waiting.set()

    async def wait_for_event(self, instance_id: str, event_name: str) -> None:
        place = instance_id, event_name
        while not self._events[place]:
            await self._published.setdefault(place, asyncio.Event()).wait()

    async def take_event(self, instance_id: str, event_name: str, *, again: bool) -> Event | None:
        kept = self._events[instance_id, event_name]
        return kept.popleft() if kept else None
