"""The verbs for the KV entries of an instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import commands
from .decoding import As
from .futures import DurableFuture

if TYPE_CHECKING:
    from .base import BaseProgram

GET_KV_VALUE = "django_durable:get_kv_value"
"""Reserved name of the built-in activity behind `get_kv_value_from_instance`."""


class KeyValueVerbs:
    """A part of `OrchestrationContext`."""

    _program: BaseProgram

    def set_kv_value(self, key: str, value: Any) -> None:
        """Write a KV entry: any JSON value, 65,536 bytes encoded at most, 150 keys at most.

        Raises: LimitExceeded, PayloadError, InvalidArgument: nothing was written.
        """
        self._program.key_values.set(key, value, self._program.now_ms)

    def get_kv_value(self, key: str, type: Any = Any) -> Any:
        """Return a KV value of this instance decoded as `type`, or None."""
        return self._program.key_values.get(key, type)

    get_kv_value_typed = get_kv_value

    def get_kv_all_values(self) -> dict[str, Any]:
        """Return all KV entries, sorted by key."""
        return self._program.key_values.all()

    def get_kv_all_keys(self) -> list[str]:
        """Return all KV keys, sorted."""
        return self._program.key_values.keys()

    def get_kv_length(self) -> int:
        """Return the number of KV entries."""
        return len(self._program.key_values)

    def clear_kv_value(self, key: str) -> None:
        """Remove one KV entry, if it is there."""
        self._program.key_values.clear(key)

    def clear_all_kv_values(self) -> None:
        """Remove every KV entry."""
        self._program.key_values.clear_all()

    def prune_kv_values_updated_before(self, cutoff_ms: int) -> int:
        """Remove the KV entries last written before `cutoff_ms` (ms since the epoch, as `utc_now`); return how many."""
        return self._program.key_values.prune(cutoff_ms)

    def get_kv_value_from_instance(self, instance_id: str, key: str) -> DurableFuture[Any]:
        """Return a future of another instance's KV value as last committed; None where either is missing."""
        codec = self._program.codec
        payload = codec.encode({"instance_id": self._program.checked_instance_id(instance_id), "key": key})
        command = commands.ScheduleActivity(name=GET_KV_VALUE, input=payload)
        return self._program.issue(command, As(codec, Any), f"KV value {key!r} of {instance_id!r}")
