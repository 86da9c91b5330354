"""The whole exception tree, grouped by who is at fault.

    DurableError
    |-- CallerError                 the call was wrong: correct it, nothing was written
    |   |-- InstanceNotFound
    |   |-- InstanceAlreadyExists
    |   |-- IllegalTransition
    |   |-- InvalidArgument         also a ValueError
    |   |-- LimitExceeded           also a ValueError
    |   |-- WaitTimeout             also a TimeoutError
    |   |-- WaitInsideTransaction
    |   |-- PromiseNotFound         also a LookupError
    |   |-- PromiseSettled
    |   |-- WrongDatabase
    |   |-- StreamClosed            also raised in code that reads or writes
    |   `-- StreamTrimmed
    |-- AuthorError                 the orchestration or activity code is wrong: change the code
    |   |-- NotRegistered           also a LookupError
    |   |-- PayloadError            also a ValueError
    |   |-- CodecError
    |   |-- NondeterminismError
    |   |-- NotAwaitable            also a TypeError
    |   |-- ForbiddenInOrchestration
    |   |-- StepBudgetExceeded
    |   |-- TurnTimeout
    |   |-- NotCompilable           also a TypeError
    |   |-- NotDurable              also a RuntimeError
    |   |-- Unstorable              also a TypeError
    |   |-- CodeChanged
    |   |-- CheckpointDamaged       also a ValueError
    |   `-- HistoryLimitExceeded
    |-- ContentionError             expected under concurrency: drop the work, somebody else has it
    |   `-- LeaseLost
    |-- OutcomeError                what was waited for ended badly: handle it or let it fail the orchestration
    |   |-- ActivityError
    |   |   `-- ActivityTimeout     also a TimeoutError
    |   |-- SubOrchestrationError
    |   |-- PromiseError
    |   |   `-- PromiseExpired      also a TimeoutError
    |   `-- OrchestrationFailed     raised by clients that ask for an output
    `-- SignalInterrupt             a signal interrupted the code inside `async with signal:`

Operator mistakes are `django.core.exceptions.ImproperlyConfigured`, mostly through system checks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .failures import Failure


class DurableError(Exception):
    """Base of everything django_durable raises on purpose. Its errors can be pickled and copied, as Django's are."""

    def __reduce__(self) -> tuple[object, ...]:
        # Exception would call the class with the finished message, where most of these take what the message is of.
        return _unreduced, (type(self), self.args), self.__dict__


def _unreduced(cls: type[DurableError], args: tuple[object, ...]) -> DurableError:
    error = cls.__new__(cls)
    error.args = args
    return error


class CallerError(DurableError):
    """The call was wrong. Nothing was written; correct the call."""


class InstanceNotFound(CallerError, LookupError):
    """No instance has this id."""

    def __init__(self, instance_id: str) -> None:
        self.instance_id = instance_id
        super().__init__(
            f"There is no instance {instance_id!r}. Check the id, or whether the instance was deleted or its start "
            f"rolled back."
        )


class InstanceAlreadyExists(CallerError):
    """The id is taken by an instance with another orchestration, version or input."""

    def __init__(self, instance_id: str, difference: str) -> None:
        self.instance_id = instance_id
        self.difference = difference
        super().__init__(
            f"Instance {instance_id!r} already exists with another {difference}. Use another id, or delete that "
            f"instance first."
        )


class IllegalTransition(CallerError):
    """The instance's status does not allow what was asked."""

    def __init__(self, instance_id: str, action: str, found: str, expected: Iterable[str], hint: str = "") -> None:
        self.instance_id = instance_id
        self.action = action
        self.found = found
        self.expected = tuple(expected)
        text = f"Cannot {action} instance {instance_id!r}: it is {found}"
        if self.expected:
            text += f", expected {' or '.join(self.expected)}"
        super().__init__(f"{text}.{' ' + hint if hint else ''}")


class InvalidArgument(CallerError, ValueError):
    """An argument cannot mean anything: an empty id, a negative duration, an unknown status."""


class LimitExceeded(CallerError, ValueError):
    """A documented limit was passed: KV keys, bytes of a value, length of an id or tag. Raised at the call."""

    def __init__(self, what: str, found: int, limit: int, hint: str = "") -> None:
        self.what = what
        self.found = found
        self.limit = limit
        super().__init__(f"{what} is {found:,}, the limit is {limit:,}.{' ' + hint if hint else ''}")


class WaitTimeout(CallerError, TimeoutError):
    """The wait was over before what was waited for happened. The instance goes on; wait again."""


class WaitInsideTransaction(CallerError):
    """Waiting inside `transaction.atomic()` could never see the answer. Wait after the block."""


class WrongDatabase(CallerError):
    """The call names, or runs in a transaction of, another database than the one that holds the instances."""


class PromiseNotFound(CallerError, LookupError):
    """The execution that an instance is in has made no such promise."""

    def __init__(self, instance_id: str, promise_id: str) -> None:
        self.instance_id = instance_id
        self.promise_id = promise_id
        super().__init__(
            f"Instance {instance_id!r} has no promise {promise_id!r}. Check the id; promises of an earlier execution "
            f"can no longer be settled."
        )


class PromiseSettled(CallerError):
    """Somebody else was first, or nobody waits for it any more; `outcome` says which."""

    def __init__(self, instance_id: str, promise_id: str, outcome: str, settled_by: str | None = None) -> None:
        self.instance_id = instance_id
        self.promise_id = promise_id
        self.outcome = outcome
        self.settled_by = settled_by
        by = f" by {settled_by}" if settled_by else ""
        super().__init__(
            f"The promise {promise_id!r} of instance {instance_id!r} was {outcome}{by} already. It is settled once; "
            f"nothing was changed."
        )


class StreamClosed(CallerError):
    """The stream has ended, and nothing more can be read from it, or sent.

    Attributes:
        name, position: Of the stream, and of its end.
        reason: Why it was closed, None where nothing was wrong.
    """

    def __init__(self, name: str, position: int, reason: str | None) -> None:
        self.name = name
        self.position = position
        self.reason = reason
        super().__init__(f"Stream {name!r} is closed{f': {reason}' if reason else ''}.")


class StreamTrimmed(CallerError):
    """What comes after the position is not all kept any more. Read on before `first_position`, or from the beginning.

    Attributes:
        name, after: Of the stream, and where the reader was.
        first_position: Of the first item that is kept.
    """

    def __init__(self, name: str, after: int, first_position: int) -> None:
        self.name = name
        self.after = after
        self.first_position = first_position
        super().__init__(
            f"Stream {name!r} was trimmed: after position {after:,}, items up to {first_position - 1:,} are no longer "
            f"kept. Read on after {first_position - 1:,}, or without a position."
        )


class AuthorError(DurableError):
    """Orchestration or activity code is wrong. Change the code."""


class NotRegistered(AuthorError, LookupError):
    """No orchestration or activity has this name (or version) in this process."""

    def __init__(self, what: str, name: str, *, version: str | None = None, known: Iterable[str] = ()) -> None:
        self.what = what
        self.name = name
        self.version = version
        self.known = tuple(sorted(known))
        label = f"{name!r} version {version!r}" if version else f"{name!r}"
        close = f" Registered: {', '.join(self.known[:10])}." if self.known else ""
        super().__init__(
            f"No {what} {label} is registered in this process.{close} Decorate it with @{what} in a module named "
            f"workflows.py or activities.py of an installed app, or import the module that has it."
        )


class PayloadError(AuthorError, ValueError):
    """A value cannot be encoded as a payload, or a payload cannot be decoded as the annotated type."""


class CodecError(AuthorError):
    """A named codec is missing in this process, or fails. What it belongs to waits until it works."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field in which a replay differs from its record."""

    field: str
    recorded: object
    requested: object


class NondeterminismError(AuthorError):
    """The code, replayed, asks for something else than what its history recorded.

    The instance is parked as Blocked. Restore the code (or keep both paths with `ctx.patched`), then resume it.
    """

    def __init__(
        self, seq: int, recorded: str | None, requested: str | None, differences: Iterable[Difference] = ()
    ) -> None:
        self.seq = seq
        self.recorded = recorded
        self.requested = requested
        self.differences = tuple(differences)
        detail = "".join(f" {d.field}: recorded {d.recorded!r}, requested {d.requested!r}." for d in self.differences)
        super().__init__(
            f"The code does not match the history at event {seq}: recorded {recorded or 'nothing'}, the code now "
            f"requests {requested or 'nothing'}.{detail} The usual cause is a change to orchestration code while "
            f"instances were open, or a clock, random number or query read outside ctx. Restore the old order of "
            f"steps, or guard the change with ctx.patched(), then resume the instance."
        )


class NotAwaitable(AuthorError, TypeError):
    """An orchestration waited for something that is not a future."""

    def __init__(self, found: object) -> None:
        super().__init__(
            f"The orchestration waits for {type(found).__name__} {found!r:.80}, expected a future. Wait for what a ctx "
            f"verb returns, for example: result = yield ctx.schedule_activity(charge, 7)."
        )


class ForbiddenInOrchestration(AuthorError, RuntimeError):
    """Orchestration code tried to do I/O, use a thread or reach another loop."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} is not allowed in an orchestration: its result would not be in the history and a replay could "
            f"not repeat it. Move it into an activity and schedule that."
        )


class StepBudgetExceeded(AuthorError):
    """The code ran more steps than allowed after one event: it spins without waiting for anything durable."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The orchestration ran more than {limit:,} steps without waiting. The usual cause is a loop that never "
            f"waits for a timer, an event or an activity. Wait for something durable in the loop, or continue as new."
        )


class TurnTimeout(AuthorError):
    """The code of an orchestration did not come back for half a lease. Correct it, then resume the instance."""

    def __init__(self, instance_id: str) -> None:
        super().__init__(
            f"The code of instance {instance_id!r} ran for half a lease without coming to a point where it waits, and "
            f"was interrupted. The usual cause is an endless loop, or work that belongs into an activity. Correct it, "
            f"then resume the instance; where the code is right and the machine slow, raise DJANGO_DURABLE['LEASE']."
        )


class NotCompilable(AuthorError, TypeError):
    """A function cannot be made resumable. Raised when it is decorated; write what the message says instead.

    `file` is empty where what was decorated is no function of any file.
    """

    def __init__(self, file: str, line: int, function: str, found: str, instead: str) -> None:
        self.file, self.line, self.function = file, line, function
        place = f" ({file}:{line})" if file else ""
        super().__init__(
            f"Cannot compile {function}() for checkpoints{place}: found {found}.{f' {instead}.' if instead else ''}"
        )


class NotDurable(AuthorError, RuntimeError):
    """Code pauses that is no part of a durable function, so it cannot be stored. Do what the message says instead."""

    def __init__(self, event: str, where: str, instead: str) -> None:
        self.event = event
        super().__init__(f"The pause for {event!r} came {where}, and what waits there cannot be stored. {instead}.")


class Unstorable(AuthorError, TypeError):
    """A suspended function holds something that a checkpoint cannot keep.

    `path` leads from the variable to the object, `place` names the function and the line where it stands.
    """

    def __init__(self, path: str, place: str, kind: str, hint: str = "") -> None:
        self.path = path
        self.place = place
        self.kind = kind
        where = f"{path[:1].upper()}{path[1:]}{f' of {place}' if place else ''}"
        super().__init__(
            f"{where} is {kind}, which a checkpoint cannot store. "
            f"{hint or 'Make it again after the await, or `del` it before'}."
        )


class CodeChanged(AuthorError):
    """A checkpoint was made by other code than there is now. Restore that code, or give a migration for it."""

    def __init__(self, function: str, recorded: str, found: str, detail: str = "") -> None:
        self.function = function
        self.recorded = recorded
        self.found = found
        why = f" {detail}." if detail else ""
        super().__init__(
            f"A call of {function} stands in code {recorded}, but the code is now {found}.{why} "
            f"It goes on only in the code it was made from: restore that, or add a Migration that says where each "
            f"suspended call continues."
        )


class CheckpointDamaged(AuthorError, ValueError):
    """The data of a checkpoint is not what `dump` writes. Restore it from a backup, or start the instance again."""

    def __init__(self, found: str) -> None:
        super().__init__(f"The checkpoint cannot be read: {found}.")


class HistoryLimitExceeded(AuthorError):
    """The history of one execution reached its limit, and the execution was ended. Continue as new before that."""

    def __init__(self, found: int, limit: int) -> None:
        super().__init__(
            f"The history has {found:,} events, the limit is {limit:,}. The usual cause is a loop without end. "
            f"Continue as new every so many rounds, or raise DJANGO_DURABLE['MAX_HISTORY_EVENTS'] and retry the "
            f"instance."
        )


class ContentionError(DurableError):
    """Somebody else has the work. Drop it; do not retry."""


class LeaseLost(ContentionError):
    """The lease token is no longer current: another worker, or an operator, owns the row. Drop the work."""

    def __init__(self, what: str) -> None:
        super().__init__(f"The lease of {what} is no longer held by this worker.")


class OutcomeError(DurableError):
    """What was waited for ended badly. `error_type`, `message` and `traceback` are those of the original error."""

    def __init__(self, what: str, failure: Failure) -> None:
        self.what = what
        self.failure = failure
        super().__init__(f"{what} failed: {failure}")

    @property
    def error_type(self) -> str:
        return self.failure.error_type

    @property
    def message(self) -> str:
        return self.failure.message

    @property
    def traceback(self) -> str:
        return self.failure.traceback


class ActivityError(OutcomeError):
    """An activity failed for good: its retries are used up or its error is not retryable."""


class ActivityTimeout(ActivityError, TimeoutError):
    """An activity ran out of its total time, or its last attempt out of its own."""


class SubOrchestrationError(OutcomeError):
    """A child failed, was canceled or terminated, or could not be started."""


class PromiseError(OutcomeError):
    """A promise was failed by whoever could have kept it."""


class PromiseExpired(PromiseError, TimeoutError):
    """Nobody settled the promise before its deadline."""


class OrchestrationFailed(OutcomeError):
    """The instance whose output was asked for did not complete."""


class SignalInterrupt(DurableError):
    """A signal came while the code inside `async with signal:` ran, or had come before. `value` is what was sent."""

    def __init__(self, name: str, value: object) -> None:
        self.name = name
        self.value = value
        super().__init__(f"Signal {name!r} interrupted the code.")
