"""What every history of the example must hold."""

from __future__ import annotations

from collections.abc import Sequence

from django_durable.engine.events import TERMINAL_FACTS, HistoryEvent, QueueEventDelivered
from django_durable.engine.replay import COMMAND_FACTS, Execution, QueuedMessage
from django_durable.registry import default


def assert_prefix_law(history: Sequence[HistoryEvent]) -> None:
    """Cut a finished history wherever a crash can: the code, resumed there, writes the rest of it again as it was."""
    arrivals = [event.seq - 1 for event in history if is_arrival(event)]
    for length in arrivals:
        execution = Execution.replay(default.environment, history[:length])
        resumed = [*history[:length]]
        for event in history[length:]:
            if is_arrival(event):
                resumed += take(execution, event)
        execution.close()
        assert resumed == [*history], f"cut before event {length + 1}"
    assert Execution.replay(default.environment, history).outcome == history[-1].fact


def is_arrival(event: HistoryEvent) -> bool:
    """Tell a fact from outside, which starts a turn, from one that answers a command of the code."""
    return type(event.fact) not in COMMAND_FACTS and not isinstance(event.fact, TERMINAL_FACTS)


def take(execution: Execution, event: HistoryEvent) -> list[HistoryEvent]:
    if isinstance(event.fact, QueueEventDelivered):
        message = QueuedMessage(event.seq, event.fact.queue, event.fact.payload)
        return execution.deliver([message], now=event.recorded_at)[0]
    return execution.advance([event.fact], now=event.recorded_at)
