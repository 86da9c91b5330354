"""Every recorded checkpoint is resumed by today's engine and code, to the end that its history has.

`checkpoints/` has, for each history of an orchestration with checkpoints, those after each of its steps.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from django_durable.engine import transcript
from django_durable.engine.commands import COMMAND_FACTS
from django_durable.engine.events import Fact, HistoryEvent, OrchestrationFailed
from django_durable.engine.failures import Failure
from django_durable.engine.program import Checkpoint, Past
from django_durable.engine.replay import Execution
from tests.conformance import (  # noqa: F401 - registers the code
    checkpoint_stories,
    generator_stories,
    orchestrations,
    promise_stories,
    step_stories,
    stream_stories,
)
from tests.conformance.activities import registry

RECORDED_BY = (3, 11)
HERE = Path(__file__).parent
HISTORIES = sorted([*HERE.glob("*_stored-*.json"), *HERE.glob("stored.*.json")])


def recorded(path: Path) -> list[Checkpoint]:
    kept = json.loads((HERE / "checkpoints" / path.name).read_text())
    return [Checkpoint(each["seq"], json.dumps(each["state"])) for each in kept]


def taken(history: Sequence[HistoryEvent]) -> list[Checkpoint]:
    """Take the checkpoints of a history, after each of its steps."""
    execution, found = Execution(registry.environment), []
    for event in history:
        if type(event.fact) not in COMMAND_FACTS:
            execution.advance([event.fact], now=event.recorded_at)
            if (checkpoint := execution.checkpoint()) is not None:
                found.append(checkpoint)
    execution.close()
    return found


def ended(fact: Fact | None) -> Fact | None:
    """Leave the traceback out: it tells which way the code was driven."""
    if isinstance(fact, OrchestrationFailed):
        return replace(fact, failure=Failure(fact.failure.error_type, fact.failure.message))
    return fact


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_a_recorded_checkpoint_goes_on_to_the_outcome_of_its_history(path):
    history = transcript.load(json.loads(path.read_text()))
    if os.environ.get("DURABLE_RECORD_HISTORIES"):
        kept = [{"seq": each.seq, "state": json.loads(each.state)} for each in taken(history)]
        (HERE / "checkpoints" / path.name).write_text(json.dumps(kept, indent=1) + "\n")
    checkpoints = recorded(path)
    assert len(checkpoints) == len(taken(history))
    for checkpoint in checkpoints:
        if '"asyncio.' in checkpoint.state and sys.version_info[:2] != RECORDED_BY:
            continue  # It stands in a function of asyncio, which other versions of Python have changed.
        execution = Execution.rebuild(registry.environment, Past([], checkpoint))
        for event in history[checkpoint.seq :]:
            if type(event.fact) not in COMMAND_FACTS:
                execution.advance([event.fact], now=event.recorded_at)
        assert ended(execution.outcome) == ended(history[-1].fact)
        execution.close()


def test_there_are_checkpoints():
    assert len(HISTORIES) >= 36
