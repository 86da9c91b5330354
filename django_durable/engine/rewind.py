"""Going back in a history: from which of its events an execution can go on again, and what it needs for that.

Theory of operation. A history falls into steps: a fact from outside, and the commands it caused. A rewind goes back to
the beginning of a step, because a history that ends within one does not replay. It keeps the events before that step
and drops the rest, as if it had not happened, with one exception: what the outside had told by then stays true.

* Activities and children that had completed are not run again if they were scheduled in what is kept: their completion
  is delivered again. So are timers that fired and external events; queue messages go back to their queue.
* Failures and cancel requests are what the operator goes back behind: they are dropped. Their activities and children,
  and all others that the kept events leave open, are run again; so are promises asked for again that failed or expired.

`good_point` finds the event to go back to where nobody names one. It never goes back behind work that the code asked
for after it had learned of its failure: a saga that has compensated cannot be un-compensated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from . import events
from .commands import COMMAND_FACTS, Moment, derived_instance_id, describe_fact
from .durations import epoch_ms
from .errors import InvalidArgument
from .events import (
    TERMINAL_FACTS,
    ActivityScheduled,
    Fact,
    HistoryEvent,
    OrchestrationStarted,
    Payload,
    PromiseCreated,
    StoredValue,
    SubOrchestrationScheduled,
    TimerCreated,
)

CAUSES = (
    events.ActivityFailed,
    events.SubOrchestrationFailed,
    events.PromiseFailed,
    events.PromiseExpired,
    events.OrchestrationCancelRequested,
)
"""Facts from outside that make code end badly; never delivered again."""

_REPEATED = (events.ActivityCompleted, events.SubOrchestrationCompleted, events.TimerFired, events.PromiseCompleted)
_LASTING = (SubOrchestrationScheduled, events.OrchestrationChained)
_WORK = (ActivityScheduled, *_LASTING)
_WAITS = (
    TimerCreated,
    events.ExternalSubscribed,
    events.QueueSubscribed,
    events.StreamSubscribed,
    PromiseCreated,
)


@dataclass(frozen=True, slots=True)
class Child:
    """A child that the kept events leave open: the seq of its scheduling, and what was recorded there.

    `starter` is the instance that scheduled it. In what a fork copied it is another one, whose child stays its own.
    """

    seq: int
    fact: SubOrchestrationScheduled
    starter: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewind:
    """What a new execution starts with.

    Attributes:
        kept: How many events are copied, from the first one on.
        started: The first fact of the history, with the identity that its last event was recorded under.
        repeated: Facts from outside to deliver again, in order.
        queued: `(queue, payload)` of messages to put back, in order, before those that nobody has taken.
        activities, timers, children, promises: What the kept events leave open and nothing in `repeated` answers.
        key_values, custom_status: As of the last event that is kept.
        reserved: Ids, chosen by the code, of children that were started after it.
    """

    kept: int
    started: OrchestrationStarted
    repeated: tuple[Fact, ...]
    queued: tuple[tuple[str, Payload], ...]
    activities: tuple[tuple[int, ActivityScheduled], ...]
    timers: tuple[tuple[int, TimerCreated], ...]
    children: tuple[Child, ...]
    promises: tuple[tuple[int, PromiseCreated], ...]
    key_values: dict[str, StoredValue]
    custom_status: Payload | None
    reserved: tuple[str, ...]

    def first_fact(
        self, copied_from: tuple[str, int], *, instance_id: str, execution: int, seed: str, parent: str | None
    ) -> Fact:
        """Return the fact that the new execution is told first: what it is called from here on.

        Args:
            copied_from: Instance id and execution that the kept events were recorded in.
        """
        if not self.kept:
            return replace(
                self.started, instance_id=instance_id, execution=execution, seed=seed, parent_instance_id=parent
            )
        return events.OrchestrationRewound(
            copied_from=copied_from[0],
            copied_execution=copied_from[1],
            instance_id=instance_id,
            execution=execution,
            seed=seed,
            parent_instance_id=parent,
        )


def good_point(history: Sequence[HistoryEvent]) -> int:
    """Return the seq of the event to go back to, in a history that ended badly: its last good point is before it.

    That is the first failure (or cancel request) after the last thing the code asked for, its end not counted; where
    there is none, the code raised by itself, and it is the last fact from outside.
    Raises: InvalidArgument: the history did not end badly, or its code has done other work since it learned of its
        failure. Choose the event.
    """
    last = history[-1]
    if ended_at_once(history):
        return last.seq if len(history) > 2 else 1
    if not isinstance(last.fact, events.OrchestrationFailed | events.OrchestrationCanceled):
        raise InvalidArgument("The execution has not failed and was not canceled. Choose the event to go back to.")
    step = next(event.seq for event in reversed(history) if _is_from_outside(event.fact))
    origin = _origin(history)
    asked = _WORK if origin else (*_WORK, *_WAITS)
    # What was asked for in the step that ended it was never begun, except for what is an instance of its own.
    begun = [each for each in history if isinstance(each.fact, asked if each.seq < step else _LASTING)]
    if origin and begun and begun[-1].seq > origin.seq:
        raise InvalidArgument(
            f"The execution ended because of event {origin.seq} ({describe_fact(origin.fact)}), and its code has gone "
            f"on since, with event {begun[-1].seq} ({describe_fact(begun[-1].fact)}). What that did is not undone by "
            f"going back. Choose the event to go back to, for example {origin.seq}."
        )
    after = begun[-1].seq if begun else 0
    return next((each.seq for each in history if each.seq > after and isinstance(each.fact, CAUSES)), step)


def rewind(history: Sequence[HistoryEvent], from_event: int) -> Rewind:
    """Return what an execution needs to go on from before an event.

    Args:
        from_event: Seq of a fact from outside, the first event that is dropped; 1 begins anew. Of an execution that
            runs also the next seq, which drops nothing.
    Raises: InvalidArgument: there is no such event, or it is none to go back to. The text says which one is.
    """
    _check(history, from_event)
    first = history[0].fact
    assert isinstance(first, OrchestrationStarted)
    kept, dropped = history[: from_event - 1], history[from_event - 1 :]
    facts = [event.fact for event in dropped]
    repeated = tuple(fact for fact in facts if _is_repeated(fact, len(kept)))
    answered = {fact.source_seq for fact in repeated}
    still_open = [(seq, fact) for seq, fact in _open(kept) if seq not in answered]
    starters = _identities(first, history)
    entries, custom_status = _state(first, kept)
    return Rewind(
        kept=len(kept),
        started=starters[-1],
        repeated=repeated,
        queued=tuple((fact.queue, fact.payload) for fact in facts if isinstance(fact, events.QueueEventDelivered)),
        activities=tuple((seq, fact) for seq, fact in still_open if isinstance(fact, ActivityScheduled)),
        timers=tuple((seq, fact) for seq, fact in still_open if isinstance(fact, TimerCreated)),
        children=tuple(
            Child(seq, fact, starters[seq - 1].instance_id)
            for seq, fact in still_open
            if isinstance(fact, SubOrchestrationScheduled)
        ),
        promises=tuple((seq, fact) for seq, fact in still_open if isinstance(fact, PromiseCreated)),
        key_values=entries,
        custom_status=custom_status,
        reserved=tuple(
            each.fact.instance_id
            for each in dropped
            if isinstance(each.fact, SubOrchestrationScheduled)
            and each.fact.instance_id != _derived_id(each, starters[each.seq - 1])
        ),
    )


def _is_from_outside(fact: Fact) -> bool:
    return type(fact) not in COMMAND_FACTS


def ended_at_once(history: Sequence[HistoryEvent]) -> bool:
    """Tell whether an operator ended the execution without its code being asked."""
    last = history[-1].fact
    if isinstance(last, events.OrchestrationCanceled):
        return not any(isinstance(each.fact, events.OrchestrationCancelRequested) for each in history)
    return isinstance(last, events.OrchestrationTerminated)


def _origin(history: Sequence[HistoryEvent]) -> HistoryEvent | None:
    """Return the fact from outside that the execution ended with: the failure it passed on, or the cancel request."""
    end = history[-1].fact
    for event in reversed(history):
        match event.fact:
            case events.OrchestrationCancelRequested() if isinstance(end, events.OrchestrationCanceled):
                return event
            case (
                events.ActivityFailed(failure=failure)
                | events.SubOrchestrationFailed(failure=failure)
                | events.PromiseFailed(failure=failure)
            ):
                # The end's traceback is that of the orchestration.
                if isinstance(end, events.OrchestrationFailed) and str(end.failure) == str(failure):
                    return event
    return None


def _check(history: Sequence[HistoryEvent], from_event: int) -> None:
    """Refuse an event that is none to go back to."""
    running = not isinstance(history[-1].fact, TERMINAL_FACTS)
    if not 1 <= from_event <= len(history) + running:
        raise InvalidArgument(f"There is no event {from_event}: the history has events 1 to {len(history)}.")
    if from_event == 1 or from_event > len(history):
        return
    at_once = from_event == len(history) and ended_at_once(history)
    if at_once and len(history) == 2:
        raise InvalidArgument("The execution ended before its code ran. Go back to event 1.")
    if at_once or _is_from_outside(history[from_event - 1].fact):
        return
    cause = next(each for each in reversed(history[:from_event]) if _is_from_outside(each.fact))
    raise InvalidArgument(
        f"Event {from_event} ({describe_fact(history[from_event - 1].fact)}) is what the code asked for after event "
        f"{cause.seq} ({describe_fact(cause.fact)}). Go back to event {cause.seq}."
    )


def _is_repeated(fact: Fact, kept: int) -> bool:
    if isinstance(fact, events.ExternalEvent):
        return True
    return isinstance(fact, _REPEATED) and fact.source_seq is not None and fact.source_seq <= kept


def _open(kept: Sequence[HistoryEvent]) -> list[tuple[int, Fact]]:
    """Return what the events ask for and neither answer nor take back."""
    found: dict[int, Fact] = {}
    for event in kept:
        if isinstance(event.fact, (*_WORK, *_WAITS)):
            found[event.seq] = event.fact
        elif event.fact.source_seq is not None:
            found.pop(event.fact.source_seq, None)
    return list(found.items())


def _state(
    started: OrchestrationStarted, kept: Sequence[HistoryEvent]
) -> tuple[dict[str, StoredValue], Payload | None]:
    """Return the KV entries and the custom status as the events leave them."""
    entries, custom_status = dict(started.kv), started.custom_status
    for event in kept:
        match event.fact:
            case events.KeyValueSet(key=key, value=value):
                entries[key] = StoredValue(value, epoch_ms(event.recorded_at))
            case events.KeyValueCleared(key=key):
                entries.pop(key, None)
            case events.KeyValuesCleared(keys=keys):
                for key in keys:
                    entries.pop(key, None)
            case events.CustomStatusUpdated(value=value):
                custom_status = value
    return entries, custom_status


def _identities(first: OrchestrationStarted, history: Sequence[HistoryEvent]) -> list[OrchestrationStarted]:
    """Return, for each event, the start with the identity under which it was recorded."""
    found = []
    for event in history:
        if isinstance(event.fact, events.OrchestrationRewound):
            first = event.fact.identify(first)
        found.append(first)
    return found


def _derived_id(event: HistoryEvent, starter: OrchestrationStarted) -> str:
    return derived_instance_id(Moment(event.seq, 0, starter.instance_id, starter.execution))
