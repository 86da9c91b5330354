"""What crosses the store's boundary: plain frozen values, no model instances."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

from ..engine.errors import InvalidArgument, LimitExceeded
from ..engine.events import Fact, HistoryEvent, OrchestrationStarted
from ..engine.program import Checkpoint
from ..engine.spans import SpanRecord

MAX_TAGS = 5
MAX_TAG_BYTES = 256


class TaskKey(NamedTuple):
    """An activity task: surrogate id of its instance, execution number, seq of its `ActivityScheduled` event."""

    instance: int
    execution: int
    seq: int


class Kin(NamedTuple):
    """Where an instance stands in its tree, by surrogate ids: its root, its parent, and the place of the event there
    that it began with. All None for a root."""

    root: int | None = None
    parent: int | None = None
    parent_execution: int | None = None
    parent_seq: int | None = None


ROOT = Kin()


@dataclass(frozen=True, slots=True)
class Message:
    """One inbox message. `fact` is None where the row could not be decoded; `error` then says why."""

    id: int
    execution_number: int | None
    fact: Fact | None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedInstance:
    """An instance whose lease this worker just took.

    `previous_token` is the token before this claim: an execution kept in memory still fits when it was left at that
    token, at `history_length` and at `execution_number`.
    """

    id: int
    instance_id: str
    orchestration: str
    version: str
    runtime_status: str
    execution_number: int
    history_length: int
    lease_token: int
    previous_token: int
    turn_attempts: int
    traceparent: str | None = None
    kin: Kin = ROOT
    messages: list[Message] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnCommit:
    """Everything one turn writes.

    Attributes:
        instance, instance_id, execution_number, lease_token, history_length: What the turn started from; the guard.
        kin: As it was claimed.
        events: To append, seqs from `history_length + 1`.
        consumed: Ids of the inbox messages the turn took.
        dequeued: Ids of the queued events the turn took.
        finished_tasks: Tasks whose completions are among `events` without having been in the inbox, each with the
            token it was leased by.
        eager: Seqs of `ActivityScheduled` events whose rows are inserted already leased to this worker.
        keep_lease: Whether the worker keeps the instance.
        next_start: First fact of the next execution after continue-as-new.
        next_version: Version the next execution is pinned to.
        spans: What is traced of the turn, and of the attempts whose completions it takes.
        traceparents: Of the instances that it starts, by the seq of the event that does.
        checkpoint: The execution as it stands after the last of `events`; None leaves an earlier one as it is.
    """

    instance: int
    instance_id: str
    execution_number: int
    lease_token: int
    history_length: int
    kin: Kin
    events: list[HistoryEvent]
    consumed: list[int] = field(default_factory=list)
    dequeued: list[int] = field(default_factory=list)
    finished_tasks: list[tuple[TaskKey, int]] = field(default_factory=list)
    eager: frozenset[int] = frozenset()
    keep_lease: bool = False
    next_start: OrchestrationStarted | None = None
    next_version: str | None = None
    spans: list[SpanRecord] = field(default_factory=list)
    traceparents: dict[int, str] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TurnOutcome:
    """What became of one turn: `COMMITTED`, `LOST` (its guard missed), or failed with `error`. Compare with `is`."""

    COMMITTED: ClassVar[TurnOutcome]
    LOST: ClassVar[TurnOutcome]

    name: str
    error: Exception | None = None

    @classmethod
    def failed(cls, error: Exception) -> TurnOutcome:
        """Return the outcome of a turn that the database refuses."""
        return cls("FAILED", error)


TurnOutcome.COMMITTED = TurnOutcome("COMMITTED")
TurnOutcome.LOST = TurnOutcome("LOST")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedTask:
    """An activity task leased by this worker; durations in milliseconds, `failures` one object per failed attempt."""

    key: TaskKey
    instance_id: str
    orchestration: str
    version: str
    name: str
    input: str
    tag: str | None
    session_id: str | None
    attempt: int
    deliveries: int
    retry: dict[str, Any] | None
    start_to_close_ms: int | None
    expires_at: datetime | None
    failures: list[dict[str, Any]]
    heartbeat: str | None
    lease_token: int
    created_at: datetime
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """How a worker serves sessions: how many at once, and how long a session without activity stays its own."""

    max_sessions: int
    idle_ms: int


@dataclass(frozen=True, slots=True)
class TagFilter:
    """Which activities a worker serves: untagged ones where `untagged`, and those with one of `names`; or any."""

    ANY: ClassVar[TagFilter]
    DEFAULT_ONLY: ClassVar[TagFilter]
    NONE: ClassVar[TagFilter]

    names: frozenset[str] = frozenset()
    untagged: bool = True
    any: bool = False

    @classmethod
    def tags(cls, names: Iterable[str]) -> TagFilter:
        """Serve only these tags. Raises: InvalidArgument, LimitExceeded: empty, over 5 tags, over 256 bytes each."""
        return cls(_checked(names), untagged=False)

    @classmethod
    def default_and(cls, names: Iterable[str]) -> TagFilter:
        """Serve untagged activities and these tags. Raises: as `tags`."""
        return cls(_checked(names), untagged=True)

    def serves(self, tag: str | None) -> bool:
        """Tell whether a worker with this filter takes activities with this tag, or without one."""
        return self.any or (self.untagged if tag is None else tag in self.names)

    def as_dict(self) -> dict[str, Any]:
        """Return the filter as plain JSON, to be shown."""
        return {"any": self.any, "untagged": self.any or self.untagged, "tags": sorted(self.names)}


TagFilter.ANY = TagFilter(any=True)
TagFilter.DEFAULT_ONLY = TagFilter()
TagFilter.NONE = TagFilter(untagged=False)


def _checked(names: Iterable[str]) -> frozenset[str]:
    if isinstance(names, str):
        raise InvalidArgument(f"Tags are {names!r}, expected a list of strings.")
    found = frozenset(names)
    if not found or not all(isinstance(each, str) and each for each in found):
        raise InvalidArgument(f"Tags are {sorted(map(str, found))}, expected one or more non-empty strings.")
    if len(found) > MAX_TAGS:
        raise LimitExceeded("The number of tags of a worker", len(found), MAX_TAGS)
    longest = max(len(each.encode()) for each in found)
    if longest > MAX_TAG_BYTES:
        raise LimitExceeded("The longest tag in bytes", longest, MAX_TAG_BYTES)
    return found
