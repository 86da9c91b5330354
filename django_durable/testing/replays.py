"""What a project can check of its histories against its current code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..engine import transcript
from ..engine.commands import COMMAND_FACTS
from ..engine.events import Fact, HistoryEvent, OrchestrationFailed
from ..engine.failures import Failure
from ..engine.program import Environment
from ..engine.replay import Execution
from ..engine.rewind import ended_at_once


def read_history(path: Path | str) -> list[HistoryEvent]:
    """Read a history that `durable_export` wrote into a file. Raises: OSError. ValueError: it is none."""
    return transcript.load(json.loads(Path(path).read_text(encoding="utf-8")))


def assert_replays(environment: Environment, history: Sequence[HistoryEvent]) -> Execution:
    """Replay a history against the current code and return the execution.

    Raises: NondeterminismError, NotRegistered: the code does not fit the history any more. ValueError: it is damaged.
    """
    return Execution.replay(environment, history)


def assert_prefix_law(environment: Environment, history: Sequence[HistoryEvent]) -> None:
    """Check that from every point where a crash can leave a history, going on leads to the same history.

    The facts from outside after that point are delivered again, one by one, at their recorded times.
    Raises: AssertionError: names the prefix and the first event that differs.
    """
    if history and ended_at_once(history):
        history = history[:-1] if len(history) > 2 else []  # Of two events, its code was never asked for anything.
    outside = [place for place, event in enumerate(history) if type(event.fact) not in COMMAND_FACTS]
    for cut in outside:
        execution = Execution.replay(environment, history[:cut])
        found = list(history[:cut])
        for place in outside:
            if place >= cut:
                found += execution.advance([history[place].fact], now=history[place].recorded_at)
        execution.close()
        _assert_same(found, history, cut)


def _assert_same(found: Sequence[HistoryEvent], expected: Sequence[HistoryEvent], cut: int) -> None:
    for ours, theirs in zip(found, expected, strict=False):
        if (ours.seq, _comparable(ours.fact)) != (theirs.seq, _comparable(theirs.fact)):
            raise AssertionError(f"Resumed after event {cut}, event {theirs.seq} is {ours.fact}, was {theirs.fact}.")
    if len(found) != len(expected):
        raise AssertionError(f"Resumed after event {cut}, there are {len(found)} events, were {len(expected)}.")


def _comparable(fact: Fact) -> Fact:
    """Leave tracebacks out: they tell which way the code was driven."""
    if isinstance(fact, OrchestrationFailed):
        return replace(fact, failure=Failure(fact.failure.error_type, fact.failure.message))
    return fact
