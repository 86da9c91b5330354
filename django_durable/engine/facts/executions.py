"""The facts of an execution itself: how it began, what changed under it, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ..failures import Failure
from .base import Fact, Payload


class CarriedEvent(NamedTuple):
    """An external event that was delivered and not yet waited for when the previous execution continued as new."""

    name: str
    payload: Payload


class StoredValue(NamedTuple):
    """A KV value and when it was written (ms since the epoch, by the history's clock)."""

    payload: Payload
    updated_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationStarted(Fact):
    """The first event of every execution; with it alone, and the events after it, the execution can be replayed.

    `seed` is drawn once per instance start; guids and random numbers derive from it and the execution number.
    `carried_events`, `kv`, `custom_status` and `stream_positions`, up to which its code had read, are what the previous
    execution left when it continued as new.
    """

    name_field = "name"
    payload_field = "input"
    name: str
    version: str
    input: Payload
    instance_id: str
    execution: int
    seed: str
    parent_instance_id: str | None = None
    carried_events: tuple[CarriedEvent, ...] = ()
    kv: dict[str, StoredValue] = field(default_factory=dict)
    custom_status: Payload | None = None
    engine_version: int = 1
    stream_positions: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationRewound(Fact):
    """The events before this one were copied from the execution that a retry or a fork went back into.

    They keep the identity under which they were recorded, so that their replay is exact. From here on the code has the
    identity that this fact gives; `copied_from` and `copied_execution` are where the events came from.
    """

    name_field = "copied_from"
    copied_from: str
    copied_execution: int
    instance_id: str
    execution: int
    seed: str
    parent_instance_id: str | None = None

    def identify(self, started: OrchestrationStarted) -> OrchestrationStarted:
        """Return the start of the execution with the identity that this fact gives."""
        return replace(
            started,
            instance_id=self.instance_id,
            execution=self.execution,
            seed=self.seed,
            parent_instance_id=self.parent_instance_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationCompleted(Fact):
    payload_field = "output"
    output: Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationFailed(Fact):
    payload_field = "failure"
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationCanceled(Fact):
    """Ended after a cancel request. `output` is what the code returned, `null` where it let the cancellation pass."""

    payload_field = "output"
    output: Payload
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationTerminated(Fact):
    """Written by the client, not by a turn: an operator ended the instance without asking its code."""

    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationContinuedAsNew(Fact):
    """Ended, and the same instance goes on as a new execution. `version` is the one asked for, `None` for latest."""

    payload_field = "input"
    input: Payload
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationCancelRequested(Fact):
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchMarked(Fact):
    name_field = "patch_id"
    patch_id: str
