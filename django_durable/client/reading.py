"""What instances are and become: status, output, custom status, KV entries, now or when they change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from ..engine.durations import Duration
from ..engine.errors import IllegalTransition, NotRegistered, OrchestrationFailed, WaitTimeout
from ..engine.events import Payload
from ..engine.failures import Failure
from ..engine.states import TERMINAL, RuntimeStatus
from ..store import keyvalues, queries
from ..store.keyvalues import KeyValueReading
from ..store.queries import StatusRecord
from .base import ClientBase
from .records import OrchestrationStatus
from .twins import twin, waits
from .waits import DEFAULT_TIMEOUT, Wait

T = TypeVar("T")

_SAME = [name for name in OrchestrationStatus.__dataclass_fields__ if name not in ("output", "error", "custom_status")]


class Reading(ClientBase):
    """The methods that look at instances, and those that wait. Timeouts are `timedelta`, or int milliseconds.

    Waits raise WaitInsideTransaction inside `transaction.atomic()`, unless what they wait for is there already.
    """

    def get_status(self, instance_id: str) -> OrchestrationStatus:
        """Return an instance's status by one query.

        Raises: InstanceNotFound. PayloadError: the output does not fit the return hint of the code that is here.
        """
        return self._status(queries.status_of(self._checked_id(instance_id), using=self.using))

    def get_output(self, instance_id: str) -> Any:
        """Return what a completed instance returned.

        Raises:
            InstanceNotFound.
            OrchestrationFailed: it failed, or was canceled or terminated.
            IllegalTransition: it has not finished; wait for it.
        """
        record = queries.status_of(self._checked_id(instance_id), using=self.using)
        found = self._output(record)
        if found is None:
            raise IllegalTransition(
                instance_id, "get the output of", record.runtime_status, sorted(TERMINAL), "Use wait_for_output()."
            )
        return found[0]

    @waits
    def wait_for_orchestration(
        self, instance_id: str, timeout: Duration = DEFAULT_TIMEOUT
    ) -> Wait[StatusRecord, OrchestrationStatus]:
        """Wait until an instance has ended, in whatever way, and return its status.

        Raises: InstanceNotFound. WaitTimeout: it goes on; wait again. WaitInsideTransaction.
        """

        def pick(record: StatusRecord) -> tuple[OrchestrationStatus] | None:
            return (self._status(record),) if record.runtime_status in TERMINAL else None

        return self._wait(instance_id, pick, _not_ended, timeout)

    @waits
    def wait_for_output(self, instance_id: str, timeout: Duration = DEFAULT_TIMEOUT) -> Wait[StatusRecord, Any]:
        """Wait until an instance has ended, and return what it returned.

        Raises: as `wait_for_orchestration`. OrchestrationFailed: it failed, or was canceled or terminated.
        """
        return self._wait(instance_id, self._output, _not_ended, timeout)

    @waits
    def wait_for_status_change(
        self, instance_id: str, last_seen_version: int = 0, timeout: Duration = DEFAULT_TIMEOUT
    ) -> Wait[StatusRecord, OrchestrationStatus | None]:
        """Wait until the custom status has another version than the one seen last, or the instance has ended.

        Returns: the status, or None when the time is over.
        Raises: InstanceNotFound. WaitInsideTransaction.
        """

        def pick(record: StatusRecord) -> tuple[OrchestrationStatus] | None:
            changed = record.custom_status_version != last_seen_version or record.runtime_status in TERMINAL
            return (self._status(record),) if changed else None

        return self._wait(instance_id, pick, lambda record: None, timeout)

    # KV entries.

    def get_kv_value(self, instance_id: str, key: str) -> Any:
        """Return a KV value of an instance as last committed, None where it has no such key.

        Raises: InstanceNotFound.
        """
        return self.get_kv_value_typed(instance_id, key, Any)

    def get_kv_value_typed(self, instance_id: str, key: str, type: type[T] | Any) -> T | None:
        """As `get_kv_value`, decoded as `type`. Raises: InstanceNotFound. PayloadError: it does not fit."""
        found: T | None = self._decoded(self._entry(instance_id, key)().payload, type)
        return found

    def get_kv_all_values(self, instance_id: str) -> dict[str, Any]:
        """Return all KV entries of an instance, sorted by key, by one query.

        Raises: InstanceNotFound.
        """
        entries = keyvalues.key_values_of(self._checked_id(instance_id), using=self.using)
        return {key: self._decoded(payload) for key, payload in entries.items()}

    @waits
    def wait_for_kv_value(
        self, instance_id: str, key: str, timeout: Duration = DEFAULT_TIMEOUT
    ) -> Wait[KeyValueReading, Any]:
        """Wait until an instance has a KV key, and return its value.

        Raises: InstanceNotFound. WaitTimeout: it has not, or it ended without. WaitInsideTransaction.
        """
        return self._wait_for_entry(instance_id, key, Any, timeout)

    @waits
    def wait_for_kv_value_typed(
        self, instance_id: str, key: str, type: type[T], timeout: Duration = DEFAULT_TIMEOUT
    ) -> Wait[KeyValueReading, T]:
        """As `wait_for_kv_value`, decoded as `type`. Raises: also PayloadError."""
        return self._wait_for_entry(instance_id, key, type, timeout)

    def _entry(self, instance_id: str, key: str) -> Callable[[], KeyValueReading]:
        instance_id, key, using = self._checked_id(instance_id), self._checked_name(key, "KV key"), self.using
        return lambda: keyvalues.key_value_of(instance_id, key, using=using)

    def _wait_for_entry(self, instance_id: str, key: str, type: Any, timeout: Duration) -> Wait[KeyValueReading, Any]:
        def pick(reading: KeyValueReading) -> tuple[Any] | None:
            if reading.payload is not None:
                return (self._decoded(reading.payload, type),)
            if reading.runtime_status in TERMINAL:
                expired(reading)
            return None

        def expired(reading: KeyValueReading) -> NoReturn:
            raise WaitTimeout(f"Instance {instance_id!r} has no KV value {key!r}; it is {reading.runtime_status}.")

        return Wait(self._entry(instance_id, key), pick, expired, timeout=timeout, using=self.using)

    # Records to what callers see.

    def _wait(
        self,
        instance_id: str,
        pick: Callable[[StatusRecord], tuple[T] | None],
        expired: Callable[[StatusRecord], T],
        timeout: Duration,
    ) -> Wait[StatusRecord, T]:
        instance_id, using = self._checked_id(instance_id), self.using
        return Wait(lambda: queries.status_of(instance_id, using=using), pick, expired, timeout=timeout, using=using)

    def _status(self, record: StatusRecord) -> OrchestrationStatus:
        return OrchestrationStatus(
            output=self._decoded_output(record),
            error=_error(record),
            custom_status=self._decoded(record.custom_status),
            **{name: getattr(record, name) for name in _SAME},
        )

    def _output(self, record: StatusRecord) -> tuple[Any] | None:
        """Return the output as a tuple of one, None before the end. Raises: OrchestrationFailed."""
        if (error := _error(record)) is not None:
            raise OrchestrationFailed(f"Instance {record.instance_id!r}", error)
        return (self._decoded_output(record),) if record.runtime_status in TERMINAL else None

    def _decoded_output(self, record: StatusRecord) -> Any:
        payload: Payload | None = record.output
        if payload is None or payload == "null":  # Not what the code returned, if it was canceled.
            return None
        try:
            definition = self.registry.get_orchestration(record.orchestration, record.version)
        except NotRegistered:
            return self._decoded(payload)
        return definition.decode_result(payload)

    aget_status = twin(get_status)
    aget_output = twin(get_output)
    await_for_orchestration = twin(wait_for_orchestration)
    await_for_output = twin(wait_for_output)
    await_for_status_change = twin(wait_for_status_change)
    aget_kv_value = twin(get_kv_value)
    aget_kv_value_typed = twin(get_kv_value_typed)
    aget_kv_all_values = twin(get_kv_all_values)
    await_for_kv_value = twin(wait_for_kv_value)
    await_for_kv_value_typed = twin(wait_for_kv_value_typed)


def _error(record: StatusRecord) -> Failure | None:
    """Return why an instance did not complete, None for one that did or goes on."""
    if record.runtime_status is RuntimeStatus.CANCELED and record.failure is None:
        return Failure("CancelledError", "The instance was canceled.")
    return record.failure


def _not_ended(record: StatusRecord) -> NoReturn:
    reason = f" ({record.blocked_reason})" if record.blocked_reason else ""
    raise WaitTimeout(
        f"Instance {record.instance_id!r} has not ended; it is {record.runtime_status}{reason}. Wait again, or see "
        f"that a worker runs."
    )
