"""One execution in memory: a program, its place in its history, and the comparison of the two.

`Execution.replay` rebuilds a program from its history, `rebuild` from a checkpoint and the events after it, where there
is one; `advance` runs one turn. All move the program by one event at
a time, in history order, and in the same way: a fact from outside is applied, the code runs until idle, and each
command it then holds is recorded before the next fact is looked at. On replay recording is comparing, so the n-th
command meets the n-th recorded command event, whatever turns the history was made in.

A turn commits all commands or none. So a history never ends between a fact and the commands it caused, and a command
left over after a replay is code that asks for more than it did.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .checkpointed import CheckpointedProgram
from .commands import COMMAND_FACTS, Command, Moment, describe_fact
from .errors import Difference, HistoryLimitExceeded, LimitExceeded, NondeterminismError
from .events import (
    ENGINE_VERSION,
    TERMINAL_FACTS,
    Fact,
    HistoryEvent,
    OrchestrationCanceled,
    OrchestrationCancelRequested,
    OrchestrationContinuedAsNew,
    OrchestrationFailed,
    OrchestrationStarted,
    OrchestrationTerminated,
    PatchMarked,
    Payload,
    QueueEventDelivered,
)
from .facts.streams import OpenRead, StoredItem, StreamAppended
from .failures import Failure, type_name
from .program import Checkpoint, Environment, Past, Program
from .replayed import ReplayedProgram
from .spans import SpanRecord
from .steps import LocalStep


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message of an event queue that nothing has dequeued yet."""

    id: int
    queue: str
    payload: Payload


class Execution:
    """One execution, live in memory. After any error that a method raises, drop it: it is in no known state.

    Attributes:
        history_length: Number of events so far; the seq of the last one.
        started_at: When its first event was recorded.
        outcome: The fact that ended the execution, or None while it runs.
        undelivered: How many facts at the end of the last `advance` were not taken, because the execution ended or has
            not started. Keep them for later.
    """

    def __init__(self, environment: Environment, *, patches: frozenset[str] = frozenset()) -> None:
        self._environment = environment
        self._patches = patches
        self._program: Program = Unstarted()
        self._limits = environment.limits
        self._recorded_at: datetime | None = None
        self._cancel_requested = False
        self.started_at: datetime | None = None
        self.history_length = 0
        self.outcome: Fact | None = None
        self.undelivered = 0

    @classmethod
    def replay(cls, environment: Environment, history: Sequence[HistoryEvent]) -> Execution:
        """Rebuild an execution from its whole history; an empty one gives an execution not started yet.

        Raises:
            NondeterminismError: the code asks for something else than was recorded. Block the instance.
            NotRegistered: the code, or a name it uses, is missing here. Block the instance.
            ValueError: the history is damaged, or was written by a newer engine. Block the instance.
        """
        return cls.rebuild(environment, Past(history))

    @classmethod
    def rebuild(cls, environment: Environment, past: Past) -> Execution:
        """Rebuild an execution from its last checkpoint and the events after it; see `replay`.

        Raises: as `replay`. CodeChanged: the code is not what the checkpoint was made of. Block the instance.
        """
        patches = frozenset(each.fact.patch_id for each in past.events if isinstance(each.fact, PatchMarked))
        execution = cls(environment, patches=patches)
        if past.checkpoint is not None:
            execution._load(past.checkpoint)
        for event in past.events:
            execution._replay(event)
        pending = execution._program.commands()
        if pending and execution.outcome is None:
            raise NondeterminismError(execution.history_length + 1, None, pending[0].describe())
        return execution

    @property
    def finished(self) -> bool:
        return self.outcome is not None

    def advance(self, facts: Sequence[Fact], *, now: datetime) -> list[HistoryEvent]:
        """Run one turn: take facts from outside in order and return the events to append.

        Facts that mean nothing any more (a duplicate, a completion of what was canceled) are dropped. An execution
        that has not started takes nothing unless its OrchestrationStarted comes first.

        Args:
            now: Aware UTC; becomes `recorded_at`. A clock that went back is held at the last event's time.
        Raises: NotRegistered: the code needs a name that is missing here. Block the instance.
        """
        appended: list[HistoryEvent] = []
        left = deque(facts)
        while left and self._takes(left[0]):
            fact = left.popleft()
            if isinstance(fact, StreamAppended):
                self._program.expect_items(fact.name)
            elif self._program.expects(fact):
                self._take(fact, now, appended)
        self.undelivered = len(left)
        return appended

    def _takes(self, fact: Fact) -> bool:
        return not self.finished and (self.history_length > 0 or isinstance(fact, OrchestrationStarted))

    def deliver(
        self, queued: Sequence[QueuedMessage], *, now: datetime
    ) -> tuple[list[HistoryEvent], list[QueuedMessage]]:
        """Give queued messages to open dequeues, oldest message and oldest dequeue of each queue first.

        Returns: the events to append, and the messages taken.
        """
        appended: list[HistoryEvent] = []
        taken: list[QueuedMessage] = []
        waiting: dict[str, deque[QueuedMessage]] = {}
        for message in queued:
            waiting.setdefault(message.queue, deque()).append(message)
        while not self.finished:
            match = next(((queue, seq) for queue, seq in self._program.open_queues() if waiting.get(queue)), None)
            if match is None:
                break
            queue, seq = match
            message = waiting[queue].popleft()
            taken.append(message)
            fact = QueueEventDelivered(queue=queue, subscribed_seq=seq, payload=message.payload)
            self._take(fact, now, appended)
        return appended, taken

    def receive(
        self, stored: Mapping[str, Sequence[StoredItem]], *, now: datetime, most: int
    ) -> tuple[list[HistoryEvent], bool]:
        """Give stored items of streams to the code that reads them, oldest read first.

        Args:
            stored: By stream, what is stored after the position of the first of its open reads, in order; streams that
                were not looked at are missing.
            most: Where a stream has so many items here, there may be more of it.
        Returns: the events to append, and whether to look again for `open_reads`.
        """
        appended: list[HistoryEvent] = []
        exhausted: set[str] = set()
        while read := next((each for each in self.open_reads() if each.name in stored.keys() - exhausted), None):
            fact = read.answer(stored[read.name])
            if fact is not None:
                self._take(fact, now, appended)
            elif len(stored[read.name]) < most:
                self._program.read_to_the_end(read.seq)
            else:
                exhausted.add(read.name)
        return appended, bool(appended or exhausted)

    def open_reads(self) -> Sequence[OpenRead]:
        """Return the reads of streams for which the store may have items, oldest first."""
        return () if self.finished else self._program.open_reads()

    def open_queues(self) -> frozenset[str]:
        """Return the queues with a dequeue that waits for a message."""
        return frozenset() if self.finished else frozenset(queue for queue, _ in self._program.open_queues())

    def next_start(self) -> OrchestrationStarted:
        """Return the first fact of the next execution; only after continue-as-new."""
        assert isinstance(self.outcome, OrchestrationContinuedAsNew)
        return self._program.next_start(self.outcome.input)

    def take_spans(self) -> tuple[list[SpanRecord], list[dict[str, Any]]]:
        """Return the spans that the code has opened, changed or ended since the last time, and log records of none."""
        if (book := self._program.spans) is None:
            return [], []
        if self.finished:
            book.end_all("The execution ended before.")
        return book.take(), book.take_loose()

    def take_heard(self) -> dict[int, int]:
        """Return the waits that external events have ended since the last time, both by their seq."""
        return {} if self._program.spans is None else self._program.spans.take_heard()

    @property
    def takes_checkpoints(self) -> bool:
        """Whether its program can be stored."""
        return isinstance(self._program, CheckpointedProgram)

    def checkpoint(self) -> Checkpoint | None:
        """Return the state after the last event; None once it ended, and where only a replay brings it back.

        Raises: Unstorable: the code holds something that cannot be stored. LimitExceeded: it holds too much. Block the
            instance.
        """
        if self.finished or self._recorded_at is None:
            return None
        state = self._program.checkpoint(self._recorded_at)
        if state is None:
            return None
        if (size := len(state.encode())) > self._limits.checkpoint_bytes:
            hint = (
                "Keep less in local variables, for example the ids of rows and not what is in them, or raise "
                "DJANGO_DURABLE['MAX_CHECKPOINT_BYTES']; then resume the instance."
            )
            raise LimitExceeded("The checkpoint in bytes", size, self._limits.checkpoint_bytes, hint)
        return Checkpoint(self.history_length, state)

    def waiting_for(self) -> list[tuple[int, str]]:
        """Return `(seq, description)` of everything the execution waits for, oldest first; nothing once it ended."""
        return [] if self.finished else [(seq, command.describe()) for seq, command in self._program.waiting_for()]

    def step_at(self, seq: int) -> LocalStep | None:
        """Return the local step that was scheduled at `seq` and is still open, or None."""
        return self._program.step_at(seq)

    def close(self) -> None:
        """Drop the program: it goes inert, then the code's `finally` blocks run without any effect."""
        self._program.close()

    def __del__(self) -> None:
        # Left to the garbage collector, the code's `finally` blocks would meet a context that is not inert.
        self.close()

    def _take(self, fact: Fact, now: datetime, appended: list[HistoryEvent]) -> None:
        """Record a fact from outside, then every command that the code holds once it is idle."""
        if self._recorded_at is not None and now < self._recorded_at:
            now = self._recorded_at
        self._append(fact, now, appended)
        pending = self._program.commands()
        while pending:
            self._append(pending[0].record(self._program.moment(self.history_length + 1)), now, appended)
        limit = self._limits.history_events
        if self.history_length >= limit and not self.finished:
            too_long = HistoryLimitExceeded(self.history_length, limit)
            self._append(OrchestrationFailed(failure=Failure.of(too_long)), now, appended)

    def _append(self, fact: Fact, now: datetime, appended: list[HistoryEvent]) -> None:
        event = HistoryEvent(self.history_length + 1, now, fact)
        self._apply(event, replaying=False)
        appended.append(event)

    def _replay(self, event: HistoryEvent) -> None:
        """Apply one recorded event, having compared it with what the code holds."""
        if self.finished or event.seq != self.history_length + 1:
            raise ValueError(
                f"The history is damaged: event {event.seq} ({event.kind}) follows event {self.history_length}"
                f"{', which ended the execution' if self.finished else ''}."
            )
        fact, pending = event.fact, self._program.commands()
        if self._is_imposed(event):
            self._note(event)
            return
        if type(fact) in COMMAND_FACTS:
            if not pending:
                raise NondeterminismError(event.seq, describe_fact(fact), None)
            if differences := self._differences(pending[0], fact, event.seq):
                raise NondeterminismError(event.seq, describe_fact(fact), pending[0].describe(), differences)
        elif pending:
            raise NondeterminismError(event.seq, describe_fact(fact), pending[0].describe())
        elif not self._program.expects(fact):
            raise NondeterminismError(event.seq, describe_fact(fact), None)
        self._apply(event, replaying=True)

    def _is_imposed(self, event: HistoryEvent) -> bool:
        """Tell whether an event ended the execution without its code being asked.

        That is between two turns, when the code holds nothing to be recorded, or before it ever ran: a replay runs it
        then, and what it asks for was never asked.
        """
        if self._program.commands() and event.seq != 2:
            return False
        match event.fact:
            case OrchestrationFailed(failure=failure):
                return failure.error_type == type_name(HistoryLimitExceeded)
            case OrchestrationCanceled():
                return not self._cancel_requested
            case fact:
                return isinstance(fact, OrchestrationTerminated)

    def _differences(self, command: Command, fact: Fact, seq: int) -> tuple[Difference, ...]:
        """Return what a command asks for otherwise than was recorded, payloads compared by what they hold."""
        found = command.differences(fact, self._program.moment(seq))
        return tuple(each for each in found if not self._environment.codec.same(each.recorded, each.requested))

    def _apply(self, event: HistoryEvent, *, replaying: bool) -> None:
        if isinstance(event.fact, OrchestrationStarted):
            self.started_at = event.recorded_at
            self._program = self._program_of(event.fact)
        self._program.apply(event, replaying=replaying)
        self._note(event)

    def _note(self, event: HistoryEvent) -> None:
        self.history_length = event.seq
        self._recorded_at = event.recorded_at
        if isinstance(event.fact, TERMINAL_FACTS):
            self.outcome = event.fact
        elif isinstance(event.fact, OrchestrationCancelRequested):
            self._cancel_requested = True

    def _program_of(self, started: OrchestrationStarted) -> Program:
        """Return a new program for the code that the execution was started with."""
        if started.engine_version > ENGINE_VERSION:
            raise ValueError(
                f"The execution was started by engine version {started.engine_version}, this one is version "
                f"{ENGINE_VERSION}. Update this worker, then resume the instance."
            )
        definition = self._environment.orchestration(started.name, started.version)
        kind = ReplayedProgram if definition.compiled is None else CheckpointedProgram
        return kind(self._environment, definition, patches=self._patches)

    def _load(self, checkpoint: Checkpoint) -> None:
        self._program, self._recorded_at = CheckpointedProgram.load(
            self._environment, checkpoint.state, patches=self._patches
        )
        self.history_length = checkpoint.seq


class Unstarted:
    """The program of an execution without a history: it expects what starts it, and there is nothing else to it."""

    spans = None

    def apply(self, event: HistoryEvent, *, replaying: bool) -> None:
        """Nothing to do: only what ends the execution comes here, and there is no code to tell."""

    def commands(self) -> Sequence[Command]:
        return ()

    def expects(self, fact: Fact) -> bool:
        return isinstance(fact, OrchestrationStarted)

    def open_queues(self) -> Sequence[tuple[str, int]]:
        return ()

    def open_reads(self) -> Sequence[OpenRead]:
        return ()

    def read_to_the_end(self, seq: int) -> None:
        """Nothing to do: nothing is read yet."""

    def expect_items(self, name: str) -> None:
        """Nothing to do: nothing is read yet."""

    def waiting_for(self) -> Sequence[tuple[int, Command]]:
        return ()

    def moment(self, seq: int) -> Moment:
        raise TypeError("An execution that has not started records no command.")

    def next_start(self, input: Payload) -> OrchestrationStarted:
        raise TypeError("An execution that has not started has no next one.")

    def step_at(self, seq: int) -> LocalStep | None:
        return None

    def checkpoint(self, recorded_at: datetime) -> None:
        return None

    def close(self) -> None:
        """Nothing to do."""
