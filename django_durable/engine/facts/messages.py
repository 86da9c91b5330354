"""The facts of what arrives by name: external events, and the messages of queues."""

from __future__ import annotations

from dataclasses import dataclass

from .base import Fact, Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalSubscribed(Fact):
    name_field = "name"
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalSubscriptionCanceled(Fact):
    source_field = "subscribed_seq"
    subscribed_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalEvent(Fact):
    """Goes to the oldest open wait of its name, or is kept for the next one."""

    name_field = "name"
    payload_field = "payload"
    name: str
    payload: Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class EventEnqueued(Fact):
    """Only ever a message: it makes the instance claimable after a `QueuedEvent` row was inserted. Never recorded."""

    name_field = "queue"
    queue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSubscribed(Fact):
    name_field = "queue"
    queue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSubscriptionCanceled(Fact):
    source_field = "subscribed_seq"
    subscribed_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEventDelivered(Fact):
    name_field = "queue"
    source_field = "subscribed_seq"
    payload_field = "payload"
    queue: str
    subscribed_seq: int
    payload: Payload
