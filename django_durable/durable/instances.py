"""The backend that is this project's database: programs are instances, and workers run them.

So an instance has one runner at a time, events are stored, checked and carry payloads, and everything that is there for
instances (admin, REST, history, cancellation) is there for programs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..client import Client, client as default_client
from ..client.waiting import Waiting, waiting_for
from ..client.waits import DEFAULT_TIMEOUT, Wait
from ..engine.durations import Duration
from ..engine.errors import InstanceNotFound, InvalidArgument, WaitTimeout
from ..engine.pauses import PauseForEventException
from ..engine.states import RuntimeStatus
from .backends import OrchestrationBackend
from .stores import State

if TYPE_CHECKING:
    from .runtime import DurableRuntime

SETTLED = frozenset(RuntimeStatus) - {RuntimeStatus.PENDING, RuntimeStatus.RUNNING}


@dataclass(frozen=True, slots=True)
class Standing:
    """How an instance stands: its status, and what it waits for."""

    id: int
    runtime_status: RuntimeStatus
    waits: tuple[Waiting, ...]

    def pauses_for(self) -> str | None:
        """Return the event that it waits for where nothing else moves it, None where something does."""
        kinds = {each.kind for each in self.waits}
        if "event" not in kinds or not kinds <= {"event", "timer"}:
            return None
        return next(each.name for each in self.waits if each.kind == "event")


class InstanceBackend(OrchestrationBackend):
    """Runs programs as instances of this project.

    Args:
        client: Whose instances; by default those of the project.
        timeout: How long `run` and `wait_for_event` wait for a worker at most.
    """

    def __init__(self, client: Client = default_client, *, timeout: Duration = DEFAULT_TIMEOUT) -> None:
        self._client = client
        self._timeout = timeout

    async def run(self, runtime: DurableRuntime, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Start the instance where there is none, then wait until it pauses or ends.

        Raises: PauseForEventException, OrchestrationFailed. WaitTimeout: no worker has brought it that far; call again.
        """
        instance_id = runtime.instance_id
        try:
            await self._client.aget_status_record(instance_id)
        except InstanceNotFound:
            await self._client.astart_definition(runtime.program.orchestration, args, kwargs, instance_id=instance_id)
        standing = await self._wait(instance_id, None)
        if (event := standing.pauses_for()) is not None and standing.runtime_status not in SETTLED:
            raise PauseForEventException(event)
        return await self._client.await_for_output(instance_id, timeout=self._timeout)

    async def wait_for_event(self, instance_id: str, event_name: str) -> None:
        """Wait until the instance no longer waits for the event. Raises: InstanceNotFound, WaitTimeout."""
        await self._wait(instance_id, event_name)

    async def apublish_event(self, instance_id: str, event_name: str, payload: Any = None) -> None:
        """Async twin of `publish_event`."""
        await self._client.araise_event(instance_id, event_name, payload)

    def publish_event(self, instance_id: str, event_name: str, payload: Any = None) -> None:
        """Send an event to the instance; one that nothing waits for yet is kept. Raises: as `Client.raise_event`."""
        self._client.raise_event(instance_id, event_name, payload)

    async def load_state(self, instance_id: str) -> State | None:
        """Return the checkpoint of the instance, None where it has not begun or has ended."""
        try:
            checkpoint = await self._client.aread_checkpoint(instance_id)
        except InstanceNotFound:
            return None
        return None if checkpoint is None else json.loads(checkpoint.state)

    async def save_state(self, instance_id: str, state: State) -> None:
        """Refuse. Raises: InvalidArgument: the turns of workers write the checkpoints of instances."""
        raise InvalidArgument(f"The state of instance {instance_id!r} is written by the turns of workers only.")

    async def _wait(self, instance_id: str, event_name: str | None) -> Standing:
        """Wait until an instance has ended or pauses; where an event is named, for another one."""

        def pick(standing: Standing) -> tuple[Standing] | None:
            paused = standing.pauses_for()
            there = standing.runtime_status in SETTLED or paused not in (None, event_name)
            return (standing,) if there else None

        def expired(standing: Standing) -> Standing:
            raise WaitTimeout(
                f"Instance {instance_id!r} is {standing.runtime_status} and has neither paused nor ended."
            )

        wait = Wait(lambda: self._standing(instance_id), pick, expired, timeout=self._timeout, using=self._client.using)
        return await wait.arun()

    def _standing(self, instance_id: str) -> Standing:
        record = self._client.get_status_record(instance_id)
        survey = self._client.survey_instance(record.id, execution=record.execution_number)
        unread = tuple(Waiting(kind="start") for each in survey.messages if each.kind != "TimerFired")
        return Standing(record.id, record.runtime_status, (*waiting_for(survey), *unread))
