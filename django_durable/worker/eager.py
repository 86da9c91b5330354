"""Which of the activities that a batch of turns schedules start here at once, and as what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, islice, zip_longest

from ..engine.events import ActivityCancelRequested, ActivityScheduled, HistoryEvent
from .turns import Turn


def choose_eager(
    turns: Sequence[Turn], room: int, runs_here: Callable[[ActivityScheduled], bool]
) -> list[frozenset[int]]:
    """Return for each turn the seqs to start here, `room` in all; turns take places in rotation."""
    offered = [_startable(turn.events, runs_here) for turn in turns]
    rotation = chain.from_iterable(zip_longest(*([(place, seq) for seq in seqs] for place, seqs in enumerate(offered))))
    chosen: list[set[int]] = [set() for _ in turns]
    for place, seq in islice((each for each in rotation if each is not None), max(room, 0)):
        chosen[place].add(seq)
    return [frozenset(seqs) for seqs in chosen]


def _startable(events: Sequence[HistoryEvent], runs_here: Callable[[ActivityScheduled], bool]) -> list[int]:
    """Return the seqs of the activities scheduled here and not taken back in the same turn."""
    withdrawn = {event.fact.scheduled_seq for event in events if isinstance(event.fact, ActivityCancelRequested)}
    return [
        event.seq
        for event in events
        if isinstance(event.fact, ActivityScheduled) and event.seq not in withdrawn and runs_here(event.fact)
    ]
