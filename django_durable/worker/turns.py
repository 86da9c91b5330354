"""Runs the turns of a batch in memory: from claimed instances to what a commit has to write.

The engine is called here and nowhere else in the worker, always through `_engine`: whatever it raises parks that one
instance as Blocked with the reason, leaves nothing of its turn, and does not touch the others. A watchdog ends
code that does not come back. Database errors are no concern of a single turn and pass through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ..engine.errors import TurnTimeout
from ..engine.events import (
    ActivityCompleted,
    ActivityFailed,
    Fact,
    HistoryEvent,
    OrchestrationContinuedAsNew,
    OrchestrationStarted,
)
from ..engine.facts.streams import OpenRead, StoredItem
from ..engine.failures import Failure
from ..engine.program import Checkpoint, Environment, Past
from ..engine.replay import Execution, QueuedMessage
from ..engine.spans import SpanRecord
from ..store import claims, connections, streamreads
from ..store.checkpoints import load_pasts
from ..store.records import ClaimedInstance, TaskKey, TurnCommit
from .attempts import Attempt
from .hot import HotExecutions, Place
from .instrumentation import Instrumentation
from .watchdog import Watchdog

if TYPE_CHECKING:
    from .tracing import NoTracing

P = ParamSpec("P")
T = TypeVar("T")

QUEUED_AT_ONCE = 1000
"""Queued messages loaded per instance and round."""


@dataclass(slots=True, eq=False)
class Turn:
    """One instance's turn: what it starts from, and what came of it.

    Attributes:
        claim: The instance as claimed (or held); `messages` are those to deliver.
        place: Where its execution stood before.
        completions: Attempts that ended in this worker, with the facts to deliver.
        next_start: First fact of the next execution, where this one continued as new.
        checkpoint: The execution as it stands now, where it goes on and can be stored.
        failure: Set where the engine raised; the instance is to be blocked.
        started_at, replayed: When it began, and how many events were replayed for it.
        traced, heard, producers, traceparents: What is told of it once it is committed, the waits that its external
            events ended, and the spans that what it starts runs under; `spans` are those that its commit stores. See
            `tracing`.
    """

    claim: ClaimedInstance
    place: Place
    completions: list[tuple[Attempt, ActivityCompleted | ActivityFailed]] = field(default_factory=list)
    execution: Execution | None = None
    events: list[HistoryEvent] = field(default_factory=list)
    consumed: list[int] = field(default_factory=list)
    dequeued: list[int] = field(default_factory=list)
    next_start: OrchestrationStarted | None = None
    checkpoint: Checkpoint | None = None
    failure: Failure | None = None
    started_at: datetime | None = None
    replayed: int = 0
    traced: list[SpanRecord] = field(default_factory=list)
    heard: dict[int, int] = field(default_factory=dict)
    spans: list[SpanRecord] = field(default_factory=list)
    producers: list[Any] = field(default_factory=list)
    traceparents: dict[int, str] = field(default_factory=dict)

    @property
    def ended(self) -> Fact | None:
        """The fact that ended the execution, or None while it goes on."""
        return self.execution.outcome if self.execution is not None else None

    def finished_tasks(self) -> list[tuple[TaskKey, int]]:
        """Return the tasks whose completions this turn takes, with the token each was leased by."""
        return [(attempt.task.key, attempt.task.lease_token) for attempt, _ in self.completions]


class TurnRunner:
    """Runs turns on one thread. `using` is the database that queued messages and pasts are read from."""

    def __init__(
        self,
        environment: Environment,
        hot: HotExecutions,
        instrumentation: Instrumentation,
        watchdog: Watchdog,
        tracing: NoTracing,
        *,
        using: str,
    ) -> None:
        self._environment = environment
        self._hot = hot
        self._instrumentation = instrumentation
        self._watchdog = watchdog
        self._tracing = tracing
        self._using = using

    def run(self, turns: list[Turn], now: datetime) -> None:
        """Advance each turn's execution by its facts, then by queued messages until nothing takes any."""
        self._attach(turns)
        for turn in turns:
            self._advance(turn, now)
        self._deliver([turn for turn in turns if turn.failure is None], now)
        for turn in turns:
            if turn.execution is not None and isinstance(turn.ended, OrchestrationContinuedAsNew):
                turn.next_start = self._engine(turn, turn.execution.next_start)
            elif turn.execution is not None and turn.events and turn.execution.takes_checkpoints:
                turn.checkpoint = self._engine(turn, turn.execution.checkpoint)
        for turn in turns:
            self._tracing.end(turn)

    def _attach(self, turns: list[Turn]) -> None:
        """Find each turn's execution in memory, or rebuild it."""
        missing = []
        for turn in turns:
            self._tracing.begin(turn)
            turn.execution = self._hot.take(turn.claim.id, turn.place)
            if turn.execution is None:
                missing.append(turn)
        self._instrumentation.count("cache_hits", len(turns) - len(missing))
        self._instrumentation.count("cache_misses", len(missing))
        pasts = self._pasts(missing)
        for turn in (each for each in missing if each.failure is None):
            past = pasts.get(turn.claim.id, Past())
            turn.replayed = len(past.events)
            turn.execution = self._engine(turn, Execution.rebuild, self._environment, past)

    def _pasts(self, turns: list[Turn]) -> dict[int, Past]:
        begun = [(turn.claim.id, turn.claim.execution_number) for turn in turns if turn.claim.history_length]
        try:
            return load_pasts(begun, using=self._using)
        except ValueError:
            return self._pasts_one_by_one(turns)

    def _pasts_one_by_one(self, turns: list[Turn]) -> dict[int, Past]:
        """Load each past alone, to find those that cannot be decoded; their instances are blocked."""
        found: dict[int, Past] = {}
        for turn in turns:
            place = (turn.claim.id, turn.claim.execution_number)
            try:
                found.update(load_pasts([place], using=self._using))
            except ValueError as error:
                turn.failure = Failure.of(error)
        return found

    def _advance(self, turn: Turn, now: datetime) -> None:
        execution = turn.execution
        damaged = next((each for each in turn.claim.messages if each.fact is None), None)
        if damaged is not None:
            turn.failure = Failure("ValueError", f"Inbox message {damaged.id} cannot be decoded: {damaged.error}")
        if execution is None or turn.failure is not None:
            return
        number = turn.claim.execution_number
        relevant = [each for each in turn.claim.messages if each.execution_number in (None, number)]
        facts: list[Fact] = [each.fact for each in relevant if each.fact is not None]
        facts += [fact for _, fact in turn.completions]
        turn.events = self._engine(turn, execution.advance, facts, now=now) or []
        taken = len(facts) - execution.undelivered
        left = {each.id for each in relevant[taken:]}
        turn.consumed = [each.id for each in turn.claim.messages if each.id not in left]

    def _deliver(self, turns: list[Turn], now: datetime) -> None:
        """Give queued messages and items of streams to the code that waits for them, until there is nothing for any."""
        while turns:
            fed = self._deliver_queued(turns, now) | self._deliver_items(turns, now)
            turns = [turn for turn in turns if turn.claim.id in fed]

    def _deliver_queued(self, turns: list[Turn], now: datetime) -> set[int]:
        waiting = {turn.claim.id: turn for turn in turns if self._open_queues(turn)}
        if not waiting:
            return set()
        most = max(len(turn.dequeued) for turn in waiting.values())
        queued = claims.load_queued(
            {instance: self._open_queues(turn) for instance, turn in waiting.items()},
            limit=QUEUED_AT_ONCE + most,
            using=self._using,
        )
        return {pk for pk, turn in waiting.items() if self._give(turn, queued.get(pk, ()), now)}

    def _deliver_items(self, turns: list[Turn], now: datetime) -> set[int]:
        reading = {turn.claim.id: turn for turn in turns if self._open_reads(turn)}
        if not reading:
            return set()
        wanted = {pk: self._open_reads(turn) for pk, turn in reading.items()}
        stored = streamreads.load_items(wanted, using=self._using)
        return {pk for pk, turn in reading.items() if self._give_items(turn, stored[pk], now)}

    def _open_reads(self, turn: Turn) -> Sequence[OpenRead]:
        return turn.execution.open_reads() if turn.execution is not None and turn.failure is None else ()

    def _give_items(self, turn: Turn, stored: Mapping[str, Sequence[StoredItem]], now: datetime) -> bool:
        """Deliver items of streams. Returns: whether there may be more for the turn."""
        if turn.execution is None:
            return False
        received = self._engine(turn, turn.execution.receive, stored, now=now, most=streamreads.READ_AT_ONCE)
        if received is None:
            return False
        events, again = received
        turn.events += events
        return again

    def _open_queues(self, turn: Turn) -> frozenset[str]:
        return turn.execution.open_queues() if turn.execution is not None and turn.failure is None else frozenset()

    def _give(self, turn: Turn, queued: Iterable[QueuedMessage], now: datetime) -> bool:
        """Deliver queued messages that this turn has not taken yet. Returns: whether it took any."""
        execution, already = turn.execution, set(turn.dequeued)
        fresh = [message for message in queued if message.id not in already]
        if execution is None or not fresh:
            return False
        delivered = self._engine(turn, execution.deliver, fresh, now=now)
        if delivered is None:
            return False
        events, taken = delivered
        turn.events += events
        turn.dequeued += [message.id for message in taken]
        return bool(taken)

    def rebuild(self, instance_id: str, past: Past) -> Execution:
        """Return the execution of a past, outside any turn. Raises: as `Execution.rebuild`; TurnTimeout."""
        return self._watchdog.watch(instance_id, lambda: Execution.rebuild(self._environment, past))

    def _engine(self, turn: Turn, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Call the engine for one turn; on an error note why the instance is to be blocked, and drop its execution."""
        instance_id = turn.claim.instance_id
        try:
            return self._watchdog.watch(instance_id, lambda: call(*args, **kwargs))
        except connections.DatabaseFault:
            raise
        except Exception as error:
            turn.failure = Failure.of(error)
            if turn.execution is not None:
                with suppress(TurnTimeout):
                    self._watchdog.watch(instance_id, turn.execution.close)
                turn.execution = None
            return None


def commit_of(turn: Turn, *, eager: frozenset[int], keep_lease: bool) -> TurnCommit:
    """Return what a commit has to write of a turn that ran without failure."""
    claim, start = turn.claim, turn.next_start
    return TurnCommit(
        instance=claim.id,
        instance_id=claim.instance_id,
        execution_number=claim.execution_number,
        lease_token=claim.lease_token,
        history_length=claim.history_length,
        kin=claim.kin,
        events=turn.events,
        consumed=turn.consumed,
        dequeued=turn.dequeued,
        finished_tasks=turn.finished_tasks(),
        eager=eager,
        keep_lease=keep_lease,
        next_start=start,
        next_version=start.version if start is not None else None,
        spans=turn.spans,
        traceparents=turn.traceparents,
        checkpoint=turn.checkpoint,
    )
