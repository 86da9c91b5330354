"""The facts of what an instance shows: its custom status and its KV entries."""

from __future__ import annotations

from dataclasses import dataclass

from .base import Fact, Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomStatusUpdated(Fact):
    """`value` is `None` after a reset."""

    payload_field = "value"
    value: Payload | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyValueSet(Fact):
    name_field = "key"
    payload_field = "value"
    key: str
    value: Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyValueCleared(Fact):
    name_field = "key"
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyValuesCleared(Fact):
    """`keys` are those removed, sorted: all there were, or those that a prune found older than its cutoff."""

    keys: tuple[str, ...]
