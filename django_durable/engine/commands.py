"""What orchestration code asks for.

A command is issued by a verb of the context, stays open to refinement (`with_tag`) until the code is idle, and is then
recorded as a fact. On replay it is compared with the fact already recorded in its place, field by field.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from . import events
from .errors import Difference
from .events import Fact, Payload
from .failures import Failure

if TYPE_CHECKING:
    from .decoding import As
    from .steps import LocalStep


class Moment(NamedTuple):
    """Where a command is recorded: its seq, the history's clock (ms since the epoch), and the execution's identity."""

    seq: int
    now_ms: int
    instance_id: str
    execution: int


@dataclass(slots=True, kw_only=True, eq=False)
class Command:
    """Base of all commands. Fields have the same name in a command and in its fact.

    `fact_type` is what the command is recorded as, `compared` the fields that a replay compares, `copied` those that
    are recorded and not compared. `answers` are the facts from outside that settle it. `seq` is set once
    the command is recorded.
    """

    fact_type: ClassVar[type[Fact]]
    compared: ClassVar[tuple[str, ...]] = ()
    copied: ClassVar[tuple[str, ...]] = ()
    answers: ClassVar[tuple[type[Fact], ...]] = ()
    seq: int | None = field(default=None, init=False)

    def record(self, moment: Moment) -> Fact:
        """Return the fact this command becomes."""
        return self.fact_type(**{name: getattr(self, name) for name in self.compared + self.copied})

    def differences(self, fact: Fact, moment: Moment) -> tuple[Difference, ...]:
        """Return what differs from the fact recorded at `moment`, in this command's place; empty when it matches."""
        if type(fact) is not self.fact_type:
            return (Difference("kind", fact.kind, self.fact_type.__name__),)
        return tuple(
            Difference(name, recorded, requested)
            for name in self.compared
            if (recorded := getattr(fact, name)) != (requested := getattr(self, name))
        )

    def describe(self) -> str:
        """Return the command as one line for error texts, for example `ActivityScheduled charge`."""
        return _line(self.fact_type.__name__, getattr(self, self.fact_type.name_field or "", None))


def describe_fact(fact: Fact) -> str:
    """Return a recorded fact as one line for error texts, in the form of `Command.describe`."""
    line = _line(fact.kind, fact.columns().name)
    return f"{line} (of event {fact.source_seq})" if fact.source_seq else line


def _line(kind: str, name: str | None) -> str:
    return f"{kind} {name:.80}" if name else kind


@dataclass(slots=True, kw_only=True, eq=False)
class ScheduleActivity(Command):
    """`step` is what a local step runs; it is not recorded. `stream` is as recorded, whatever the code is now."""

    fact_type = events.ActivityScheduled
    answers = (events.ActivityCompleted, events.ActivityFailed)
    compared = ("name", "input", "tag", "session_id")
    copied = ("priority", "retry", "start_to_close_ms", "schedule_to_close_ms", "stream")
    name: str
    input: Payload
    tag: str | None = None
    session_id: str | None = None
    priority: int = 0
    retry: dict[str, Any] | None = None
    start_to_close_ms: int | None = None
    schedule_to_close_ms: int | None = None
    step: LocalStep | None = None
    stream: str | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class CancelActivity(Command):
    fact_type = events.ActivityCancelRequested
    compared = ("scheduled_seq",)
    scheduled_seq: int


@dataclass(slots=True, kw_only=True, eq=False)
class CreateTimer(Command):
    fact_type = events.TimerCreated
    answers = (events.TimerFired,)
    compared = ("duration_ms",)
    duration_ms: int

    def record(self, moment: Moment) -> Fact:
        return events.TimerCreated(duration_ms=self.duration_ms, fire_at_ms=moment.now_ms + self.duration_ms)


@dataclass(slots=True, kw_only=True, eq=False)
class CancelTimer(Command):
    fact_type = events.TimerCanceled
    compared = ("timer_seq",)
    timer_seq: int


@dataclass(slots=True, kw_only=True, eq=False)
class SubscribeExternal(Command):
    fact_type = events.ExternalSubscribed
    compared = ("name",)
    name: str


@dataclass(slots=True, kw_only=True, eq=False)
class UnsubscribeExternal(Command):
    fact_type = events.ExternalSubscriptionCanceled
    compared = ("subscribed_seq",)
    subscribed_seq: int


@dataclass(slots=True, kw_only=True, eq=False)
class SubscribeQueue(Command):
    fact_type = events.QueueSubscribed
    answers = (events.QueueEventDelivered,)
    compared = ("queue",)
    queue: str


@dataclass(slots=True, kw_only=True, eq=False)
class UnsubscribeQueue(Command):
    fact_type = events.QueueSubscriptionCanceled
    compared = ("subscribed_seq",)
    subscribed_seq: int


@dataclass(slots=True, kw_only=True, eq=False)
class CreatePromise(Command):
    """`answered_as` is what its result is decoded as; its schema is recorded, for whoever is asked."""

    fact_type = events.PromiseCreated
    answers = (events.PromiseCompleted, events.PromiseFailed, events.PromiseExpired)
    compared = ("name", "promise_id", "question", "assignee", "deadline_ms")
    name: str
    promise_id: str
    answered_as: As
    question: Payload | None = None
    assignee: str | None = None
    deadline_ms: int | None = None

    def record(self, moment: Moment) -> Fact:
        answer = None if self.question is None else self.answered_as.schema()
        return events.PromiseCreated(**{name: getattr(self, name) for name in self.compared}, answer=answer)


@dataclass(slots=True, kw_only=True, eq=False)
class WithdrawPromise(Command):
    fact_type = events.PromiseWithdrawn
    compared = ("created_seq",)
    created_seq: int


@dataclass(slots=True, kw_only=True, eq=False)
class SubscribeStream(Command):
    fact_type = events.StreamSubscribed
    answers = (events.StreamItemsReceived,)
    compared = ("name", "after", "mode", "limit", "opens")
    name: str
    after: int
    mode: str
    limit: int
    opens: bool


@dataclass(slots=True, kw_only=True, eq=False)
class UnsubscribeStream(Command):
    fact_type = events.StreamSubscriptionCanceled
    compared = ("subscribed_seq",)
    subscribed_seq: int


@dataclass(slots=True, kw_only=True, eq=False)
class SendToStream(Command):
    fact_type = events.StreamItemSent
    compared = ("name", "payload")
    name: str
    payload: Payload


@dataclass(slots=True, kw_only=True, eq=False)
class EndStream(Command):
    """A replay does not compare the reason, which may be the text of an error."""

    fact_type = events.StreamEnded
    compared = ("name",)
    copied = ("reason",)
    name: str
    reason: str | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class ScheduleSubOrchestration(Command):
    """`requested_instance_id` is the id the code chose; without one the id derives from the place in the history.
    `instance_id` is the one recorded, empty until then.
    """

    fact_type = events.SubOrchestrationScheduled
    answers = (events.SubOrchestrationCompleted, events.SubOrchestrationFailed)
    compared = ("name", "input", "requested_version")
    name: str
    version: str
    input: Payload
    requested_version: str | None = None
    requested_instance_id: str | None = None
    instance_id: str = field(default="", init=False)

    def record(self, moment: Moment) -> Fact:
        return events.SubOrchestrationScheduled(
            name=self.name,
            version=self.version,
            instance_id=self.requested_instance_id or derived_instance_id(moment),
            input=self.input,
            requested_version=self.requested_version,
        )

    def differences(self, fact: Fact, moment: Moment) -> tuple[Difference, ...]:
        # Named in full: zero-argument super() does not work in a dataclass with slots.
        found = Command.differences(self, fact, moment)
        wanted = self.requested_instance_id or derived_instance_id(moment)
        if isinstance(fact, events.SubOrchestrationScheduled) and fact.instance_id != wanted:
            found += (Difference("instance_id", fact.instance_id, wanted),)
        return found


def derived_instance_id(moment: Moment) -> str:
    """Return the id of a child that was given none; from the second execution on it carries the execution's number.

    Source: Duroxide, whose earlier ids without that number collided across continue-as-new.
    """
    place = f"{moment.seq}" if moment.execution == 1 else f"{moment.execution}_{moment.seq}"
    return f"{moment.instance_id}::sub::{place}"


@dataclass(slots=True, kw_only=True, eq=False)
class CancelSubOrchestration(Command):
    fact_type = events.SubOrchestrationCancelRequested
    compared = ("scheduled_seq",)
    copied = ("instance_id",)
    scheduled_seq: int
    instance_id: str


@dataclass(slots=True, kw_only=True, eq=False)
class StartOrchestration(Command):
    fact_type = events.OrchestrationChained
    compared = ("name", "instance_id", "input", "requested_version")
    copied = ("version",)
    name: str
    version: str
    instance_id: str
    input: Payload
    requested_version: str | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class SetCustomStatus(Command):
    fact_type = events.CustomStatusUpdated
    compared = ("value",)
    value: Payload | None


@dataclass(slots=True, kw_only=True, eq=False)
class SetKeyValue(Command):
    fact_type = events.KeyValueSet
    compared = ("key", "value")
    key: str
    value: Payload


@dataclass(slots=True, kw_only=True, eq=False)
class ClearKeyValue(Command):
    fact_type = events.KeyValueCleared
    compared = ("key",)
    key: str


@dataclass(slots=True, kw_only=True, eq=False)
class ClearKeyValues(Command):
    fact_type = events.KeyValuesCleared
    compared = ("keys",)
    keys: tuple[str, ...]


@dataclass(slots=True, kw_only=True, eq=False)
class MarkPatch(Command):
    fact_type = events.PatchMarked
    compared = ("patch_id",)
    patch_id: str


@dataclass(slots=True, kw_only=True, eq=False)
class CompleteOrchestration(Command):
    fact_type = events.OrchestrationCompleted
    compared = ("output",)
    output: Payload


@dataclass(slots=True, kw_only=True, eq=False)
class FailOrchestration(Command):
    """A replay compares only that it fails: tracebacks hold line numbers."""

    fact_type = events.OrchestrationFailed
    copied = ("failure",)
    failure: Failure


@dataclass(slots=True, kw_only=True, eq=False)
class EndCanceled(Command):
    fact_type = events.OrchestrationCanceled
    compared = ("output",)
    copied = ("reason",)
    output: Payload
    reason: str | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class ContinueAsNew(Command):
    fact_type = events.OrchestrationContinuedAsNew
    compared = ("input", "version")
    input: Payload
    version: str | None = None


COMMAND_FACTS: frozenset[type[Fact]] = frozenset(each.fact_type for each in Command.__subclasses__())
"""Facts that record a command of the program; all others come from outside."""


def cancellation(command: Command, seq: int) -> Command:
    """Return the command that takes back the one recorded at `seq`."""
    match command:
        case ScheduleActivity():
            return CancelActivity(scheduled_seq=seq)
        case CreateTimer():
            return CancelTimer(timer_seq=seq)
        case SubscribeExternal():
            return UnsubscribeExternal(subscribed_seq=seq)
        case SubscribeQueue():
            return UnsubscribeQueue(subscribed_seq=seq)
        case CreatePromise():
            return WithdrawPromise(created_seq=seq)
        case SubscribeStream():
            return UnsubscribeStream(subscribed_seq=seq)
        case ScheduleSubOrchestration(instance_id=child):
            return CancelSubOrchestration(scheduled_seq=seq, instance_id=child)
        case _:
            raise TypeError(f"{command.describe()} cannot be taken back.")
