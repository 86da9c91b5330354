"""The facts of promises: results that somebody outside gives, once. A request is a promise with a question."""

from __future__ import annotations

from dataclasses import dataclass

from ..failures import Failure
from .base import Fact, Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseCreated(Fact):
    """`promise_id` is what the outside calls it, `name` what people read.

    `question` is None for a promise that asks nobody. `answer` is the JSON Schema of the result, as text; a replay does
    not compare it. `deadline_ms` counts from this event on.
    """

    name_field = "name"
    payload_field = "question"
    name: str
    promise_id: str
    question: Payload | None = None
    answer: str | None = None
    assignee: str | None = None
    deadline_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseCompleted(Fact):
    """`settled_by` is whoever the caller says it was, for example a user's name."""

    source_field = "created_seq"
    payload_field = "result"
    created_seq: int
    result: Payload
    settled_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseFailed(Fact):
    source_field = "created_seq"
    payload_field = "failure"
    created_seq: int
    failure: Failure
    settled_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseExpired(Fact):
    """Its deadline passed before anybody settled it."""

    source_field = "created_seq"
    created_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseWithdrawn(Fact):
    """The code no longer waits for it: a lost race, a timeout of its own."""

    source_field = "created_seq"
    created_seq: int
