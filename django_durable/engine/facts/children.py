"""The facts of other orchestrations that one starts: children, and detached ones."""

from __future__ import annotations

from dataclasses import dataclass

from ..failures import Failure
from .base import Fact, Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class SubOrchestrationScheduled(Fact):
    """`version` is always the version the child is pinned to; `requested_version` what the code asked for."""

    name_field = "name"
    payload_field = "input"
    name: str
    version: str
    instance_id: str
    input: Payload
    requested_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubOrchestrationCompleted(Fact):
    source_field = "scheduled_seq"
    payload_field = "result"
    scheduled_seq: int
    result: Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class SubOrchestrationFailed(Fact):
    source_field = "scheduled_seq"
    payload_field = "failure"
    scheduled_seq: int
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class SubOrchestrationCancelRequested(Fact):
    source_field = "scheduled_seq"
    scheduled_seq: int
    instance_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationChained(Fact):
    """A detached start: not a child, not canceled or deleted with its starter."""

    name_field = "name"
    payload_field = "input"
    name: str
    version: str
    instance_id: str
    input: Payload
    requested_version: str | None = None
