"""What the code of a program has asked for, and what of it is open.

Theory of operation. A verb issues a command, with a future that waits for its outcome. When the command is recorded it
gets its seq, and the future is open under that seq. A fact from outside names the seq it answers and settles the open
future. External events and dequeues are matched by name, oldest wait first; an event that nobody waits for is kept
unread, in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from . import commands, events
from .commands import Command, cancellation
from .errors import ActivityError, ActivityTimeout, PromiseError, PromiseExpired, SubOrchestrationError
from .events import CarriedEvent, Fact, HistoryEvent, Payload
from .facts.streams import FOLLOW
from .failures import Failure, type_name
from .futures import DurableFuture
from .steps import LocalStep


class Outstanding:
    """See the module docstring. `issued` are the commands that no event has recorded yet, oldest first."""

    def __init__(self) -> None:
        self.issued: deque[Command] = deque()
        self._futures: dict[Command, DurableFuture[Any]] = {}
        self._open: dict[int, DurableFuture[Any]] = {}
        self._dequeues: dict[int, str] = {}
        self._reads: dict[int, commands.SubscribeStream] = {}
        self._waits: dict[str, deque[DurableFuture[Any]]] = {}
        self._unread: dict[str, deque[Payload]] = {}

    # What verbs ask for.

    def issue(self, command: Command, future: DurableFuture[Any] | None = None) -> None:
        """Note a command, and the future that waits for its outcome."""
        self.issued.append(command)
        if future is None:
            return
        self._futures[command] = future
        if isinstance(command, commands.SubscribeExternal):
            self._wait(command.name, future)

    def _wait(self, name: str, future: DurableFuture[Any]) -> None:
        unread = self._unread.get(name)
        if unread:
            future.resolve(unread.popleft())
        else:
            self._waits.setdefault(name, deque()).append(future)

    def withdraw(self, command: Command) -> None:
        """Take a command back: forget it if it is not recorded yet, else issue its cancellation."""
        if command.seq is None:
            future = self._futures.pop(command)
            self.issued.remove(command)
        else:
            future = self._take(command.seq)
            self.issued.append(cancellation(command, command.seq))
        self._end_stream(command, "It was called off.")
        if isinstance(command, commands.SubscribeExternal):
            self._waits[command.name].remove(future)

    # What events do.

    def bind(self, event: HistoryEvent) -> None:
        """Give the oldest command its place: the event that records it."""
        command = self.issued.popleft()
        command.seq = event.seq
        future = self._futures.pop(command, None)
        if future is not None and not future.done():
            self._open[event.seq] = future
            if isinstance(command, commands.SubscribeQueue):
                self._dequeues[event.seq] = command.queue
            if isinstance(command, commands.SubscribeStream):
                self._reads[event.seq] = command
        if isinstance(event.fact, events.SubOrchestrationScheduled):
            assert isinstance(command, commands.ScheduleSubOrchestration)
            command.instance_id = event.fact.instance_id
        if isinstance(event.fact, events.ActivityScheduled):
            assert isinstance(command, commands.ScheduleActivity)
            command.stream = event.fact.stream

    def answers(self, fact: Fact) -> bool:
        """Tell whether a fact settles an open future."""
        future = self._open.get(fact.source_seq or 0)
        return future is not None and future.command is not None and type(fact) in future.command.answers

    def step_at(self, seq: int) -> LocalStep | None:
        """Return the local step that is open at `seq`, or None."""
        future = self._open.get(seq)
        command = future.command if future is not None else None
        return command.step if isinstance(command, commands.ScheduleActivity) else None

    def settle(self, fact: Fact) -> None:
        """Settle the future that a fact answers; `answers` has told that there is one."""
        assert fact.source_seq is not None
        if fact.source_seq in self._reads and self._reads[fact.source_seq].mode == FOLLOW:
            return  # It is told of the next item, too.
        future = self._take(fact.source_seq)
        failure = fact.failure if isinstance(fact, events.ActivityFailed) else None
        self._end_stream(future.command, f"{failure.error_type}: {failure.message}" if failure else None)
        match fact:
            case events.ActivityCompleted(result=payload) | events.SubOrchestrationCompleted(result=payload):
                future.resolve(payload)
            case events.QueueEventDelivered(payload=payload) | events.PromiseCompleted(result=payload):
                future.resolve(payload)
            case events.StreamItemsReceived():
                future.resolve(fact)
                if fact.ended:
                    self._end_reads(fact)
            case events.TimerFired():
                future.resolve(None)
            case events.ActivityFailed(failure=failure, timed_out=timed_out):
                kind = ActivityTimeout if timed_out else ActivityError
                future.reject(kind(future.what, failure))
            case events.SubOrchestrationFailed(failure=failure):
                future.reject(SubOrchestrationError(future.what, failure))
            case events.PromiseFailed(failure=failure):
                future.reject(PromiseError(future.what, failure))
            case events.PromiseExpired():
                late = Failure(type_name(PromiseExpired), "Its deadline has passed.")
                future.reject(PromiseExpired(future.what, late))

    def _end_reads(self, fact: events.StreamItemsReceived) -> None:
        """Settle what else reads a stream that has ended: nobody is told a second time."""
        for seq in [seq for seq, each in self._reads.items() if each.name == fact.name and each.mode != FOLLOW]:
            self._take(seq).resolve(fact)

    def _end_stream(self, command: Command | None, reason: str | None) -> None:
        """End the stream of a generator's partial results, whatever the generator came to."""
        # A checkpoint of an earlier release knows of no streams.
        if isinstance(command, commands.ScheduleActivity) and (name := getattr(command, "stream", None)) is not None:
            self.issued.append(commands.EndStream(name=name, reason=reason))

    def _take(self, seq: int) -> DurableFuture[Any]:
        """Close what is open at `seq` and return its future."""
        self._dequeues.pop(seq, None)
        self._reads.pop(seq, None)
        return self._open.pop(seq)

    def deliver(self, fact: events.ExternalEvent) -> int | None:
        """Give an external event to the oldest wait of its name, or keep it unread.

        Returns: the seq of that wait, None where there is none.
        """
        waits = self._waits.get(fact.name)
        if not waits:
            self._unread.setdefault(fact.name, deque()).append(fact.payload)
            return None
        future = waits.popleft()
        seq = future.command.seq if future.command is not None else None
        if seq is not None:
            self._take(seq)
        future.resolve(fact.payload)
        return seq

    # What goes from one execution to the next.

    def carry(self, carried: Iterable[CarriedEvent]) -> None:
        """Keep the unread events that an earlier execution left."""
        for each in carried:
            self._unread.setdefault(each.name, deque()).append(each.payload)

    def carried(self) -> tuple[CarriedEvent, ...]:
        """Return the unread events, in order within each name."""
        return tuple(CarriedEvent(name, each) for name, kept in self._unread.items() for each in kept)

    # What a checkpoint keeps.

    def standing(self) -> dict[str, Any]:
        """Return what is open and what is unread; nothing is left to be recorded."""
        return {
            "open": [[seq, future] for seq, future in self._open.items()],
            "dequeues": [[seq, queue] for seq, queue in self._dequeues.items()],
            "waits": [[name, list(waits)] for name, waits in self._waits.items() if waits],
            "unread": [[name, list(kept)] for name, kept in self._unread.items() if kept],
        }

    def stand(self, state: dict[str, Any]) -> None:
        """Go on from `standing`."""
        self._open = dict(state["open"])
        self._dequeues = dict(state["dequeues"])
        commands_of = ((seq, future.command) for seq, future in self._open.items())
        self._reads = {seq: each for seq, each in commands_of if isinstance(each, commands.SubscribeStream)}
        self._waits = {name: deque(waits) for name, waits in state["waits"]}
        self._unread = {name: deque(kept) for name, kept in state["unread"]}

    # What is open.

    def open_queues(self) -> Sequence[tuple[str, int]]:
        """Return `(queue, subscribed_seq)` of the dequeues that wait for a message, oldest first."""
        return [(queue, seq) for seq, queue in self._dequeues.items()]

    def open_reads(self) -> Sequence[tuple[int, commands.SubscribeStream]]:
        """Return `(subscribed_seq, command)` of the reads of streams that are open, oldest first."""
        return list(self._reads.items())

    def waiting_for(self) -> Sequence[tuple[int, Command]]:
        """Return `(seq, command)` of everything still open, oldest first."""
        return [(seq, future.command) for seq, future in sorted(self._open.items()) if future.command is not None]

    def cancel_all(self) -> None:
        """Cancel every future that is not settled; the program is inert already."""
        for future in (*self._open.values(), *self._futures.values()):
            future.cancel()

    def clear(self) -> None:
        """Forget all but the unread events."""
        for kept in (self.issued, self._futures, self._open, self._waits):
            kept.clear()
