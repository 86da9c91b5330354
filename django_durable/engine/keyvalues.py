"""The KV entries of an instance as its code sees them: read-your-writes, time stamps by the history's clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .arguments import checked_text
from .commands import ClearKeyValue, ClearKeyValues, Command, SetKeyValue
from .errors import InvalidArgument, LimitExceeded
from .events import StoredValue
from .program import Codec, Limits


class KeyValues:
    """The entries of one execution, seeded with what the previous execution left.

    Writes are issued as commands at once and visible to reads at once; clients see them when the turn commits.
    """

    def __init__(
        self, entries: Mapping[str, StoredValue], codec: Codec, limits: Limits, issue: Callable[[Command], Any]
    ) -> None:
        self._entries = dict(entries)
        self._codec = codec
        self._limits = limits
        self._issue = issue

    def snapshot(self) -> dict[str, StoredValue]:
        """Return the entries as the next execution starts with them."""
        return dict(self._entries)

    def get(self, key: str, type: Any = Any) -> Any:
        stored = self._entries.get(self._checked(key))
        return None if stored is None else self._codec.decode(stored.payload, type)

    def all(self) -> dict[str, Any]:
        return {key: self._codec.decode(self._entries[key].payload) for key in self.keys()}

    def keys(self) -> list[str]:
        return sorted(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def set(self, key: str, value: Any, now_ms: int) -> None:
        """Write one entry. Raises: LimitExceeded, PayloadError: nothing was written."""
        self._checked(key)
        payload = self._codec.encode(value)
        size = len(payload.encode())
        if size > self._limits.kv_value_bytes:
            raise LimitExceeded(
                f"The KV value for key {key!r} in bytes", size, self._limits.kv_value_bytes, "Store a reference to it."
            )
        if key not in self._entries and len(self._entries) >= self._limits.kv_keys:
            raise LimitExceeded(
                "The number of KV keys", len(self._entries) + 1, self._limits.kv_keys, "Clear keys no longer needed."
            )
        self._issue(SetKeyValue(key=key, value=payload))
        self._entries[key] = StoredValue(payload, now_ms)

    def clear(self, key: str) -> None:
        self._issue(ClearKeyValue(key=self._checked(key)))
        self._entries.pop(key, None)

    def clear_all(self) -> None:
        self._clear(tuple(self.keys()))

    def prune(self, cutoff_ms: int) -> int:
        """Clear the entries last written before `cutoff_ms` (epoch); return how many."""
        if isinstance(cutoff_ms, bool) or not isinstance(cutoff_ms, int):
            raise InvalidArgument(f"cutoff_ms is {cutoff_ms!r}, expected an int of milliseconds since the epoch.")
        old = tuple(key for key in self.keys() if self._entries[key].updated_ms < cutoff_ms)
        self._clear(old)
        return len(old)

    def _clear(self, keys: tuple[str, ...]) -> None:
        self._issue(ClearKeyValues(keys=keys))
        for key in keys:
            del self._entries[key]

    def _checked(self, key: str) -> str:
        return checked_text(key, "KV key", self._limits.name_length)
