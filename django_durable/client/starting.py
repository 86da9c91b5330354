"""Starting instances and sending to them: in the caller's transaction, if there is one."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from ..definitions import Orchestration
from ..engine.durations import Duration, checked_moment, milliseconds
from ..engine.errors import InvalidArgument
from ..engine.events import Payload
from ..store import instances
from ..store.starts import NewInstance
from ..tracing.sinks import starting
from .base import ClientBase
from .records import StartResult
from .twins import twin


class Starting(ClientBase):
    """The methods that give instances something to do; in a `transaction.atomic()` they commit or roll back with it."""

    def start_orchestration(
        self,
        instance_id: str,
        orchestration: str | Callable[..., Any],
        input: Any = None,
        *,
        version: str | None = None,
        start_at: datetime | None = None,
        delay: Duration | None = None,
    ) -> StartResult:
        """Start an instance by the name of its orchestration, at the latest version unless one is given.

        The same id with the same orchestration and input finds the instance that is there, whatever its status, so a
        start may be repeated. Versions are compared where one is asked for.

        Args:
            instance_id: The caller's key: 1 to 512 characters, no control characters.
            input: A mapping that fits the parameters binds by name, anything else is the first argument.
            start_at, delay: When it runs first, as an aware datetime or a duration from now; one of them at most.
        Raises:
            NotRegistered: this process does not have the orchestration, or not at that version.
            InstanceAlreadyExists: the id is taken by another orchestration, input or version.
            PayloadError, InvalidArgument: the argument that the message names. Nothing was written.
        """
        definition = self.registry.get_orchestration(orchestration, version)
        payload = definition.encode_input(input)
        at = self._start_at(start_at, delay)
        return self._start(instance_id, definition, payload, at, same_version=version is not None)

    def start_orchestration_versioned(
        self, instance_id: str, orchestration: str | Callable[..., Any], input: Any, version: str
    ) -> StartResult:
        """Start an instance at one version; see `start_orchestration`."""
        return self.start_orchestration(instance_id, orchestration, input, version=version)

    def start_definition(
        self,
        definition: Orchestration[Any, Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        instance_id: str | None = None,
        start_at: datetime | None = None,
    ) -> str:
        """Carry out `definition.start(...)`: start an instance of that version and return its id.

        Raises: as `start_orchestration`.
        """
        latest = self.registry.get_orchestration(definition.name)
        payload = definition.encode_call(args, kwargs)
        started = self._start(
            new_instance_id(definition.name) if instance_id is None else instance_id,
            definition,
            payload,
            self._start_at(start_at, None),
            # The latest version is what a start by name gives, too; only an older one was asked for.
            same_version=definition.version != latest.version,
        )
        return started.instance_id

    def raise_event(self, instance_id: str, name: str, data: Any = None) -> None:
        """Send an external event; it goes to the oldest wait for its name, or is kept for the next one.

        Pending, suspended and blocked instances keep it, too.
        Raises:
            InstanceNotFound.
            IllegalTransition: the instance has finished.
            PayloadError, InvalidArgument: the argument that the message names. Nothing was written.
        """
        payload = self.registry.codec.encode(data, f"The data of event {self._checked_name(name, 'event name')!r}")
        instances.raise_event(self._checked_id(instance_id), name, payload, now=self._clock(), using=self.using)

    def enqueue_event(self, instance_id: str, queue: str, data: Any = None) -> None:
        """Put a message at the end of one of an instance's event queues; it stays there until it is dequeued.

        Raises: as `raise_event`.
        """
        payload = self.registry.codec.encode(data, f"The message for queue {self._checked_name(queue, 'queue name')!r}")
        instances.enqueue_event(self._checked_id(instance_id), queue, payload, now=self._clock(), using=self.using)

    def _start(
        self,
        instance_id: str,
        definition: Orchestration[Any, Any],
        payload: Payload,
        start_at: datetime | None,
        *,
        same_version: bool,
    ) -> StartResult:
        checked_id = self._checked_new_id(instance_id)
        definition.decode_call(payload)  # What the first turn would refuse is refused here.
        with starting(definition.name, checked_id) as traceparent:
            new = NewInstance(
                instance_id=checked_id,
                orchestration=definition.name,
                version=definition.version,
                input=payload,
                seed=secrets.token_hex(16),
                traceparent=traceparent,
                start_at=start_at,
            )
            _, created = instances.create_instance(new, same_version=same_version, now=self._clock(), using=self.using)
        return StartResult(instance_id, created)

    def _start_at(self, start_at: datetime | None, delay: Duration | None) -> datetime | None:
        if start_at is not None and delay is not None:
            raise InvalidArgument("Both start_at and delay are given. Give one of them.")
        if delay is not None:
            return self._clock() + timedelta(milliseconds=milliseconds(delay, "delay"))
        return None if start_at is None else checked_moment(start_at, "start_at")

    astart_orchestration = twin(start_orchestration)
    astart_orchestration_versioned = twin(start_orchestration_versioned)
    astart_definition = twin(start_definition)
    araise_event = twin(raise_event)
    aenqueue_event = twin(enqueue_event)


def new_instance_id(orchestration: str) -> str:
    """Return an id for a start that was given none, readable in a list: `checkout-1f0c...`."""
    return f"{orchestration.rpartition('.')[2]}-{uuid.uuid4().hex}"
