"""Every recorded history replays against today's engine and code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from django_durable.engine import transcript
from django_durable.testing import assert_prefix_law, assert_replays
from tests.conformance import (  # noqa: F401 - registers the code
    asyncio_stories,
    checkpoint_stories,
    generator_stories,
    orchestrations,
    promise_stories,
    step_stories,
    stream_stories,
)
from tests.conformance.activities import registry

FILES = sorted(Path(__file__).parent.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_recorded_history_replays_to_its_outcome(path):
    history = transcript.load(json.loads(path.read_text()))
    assert assert_replays(registry.environment, history).outcome == history[-1].fact
    assert_prefix_law(registry.environment, history)


def test_there_are_histories_of_both_styles():
    names = [path.stem for path in FILES]
    assert sum("_gen-" in name for name in names) >= 10
    assert sum("_aio-" in name for name in names) >= 10


def test_a_transcript_gives_equal_events_back():
    for path in FILES:
        data = json.loads(path.read_text())
        assert transcript.dump(transcript.load(data)) == data


@pytest.mark.parametrize(
    "data", [None, [], {}, {"format": transcript.FORMAT, "events": [{}]}, {"format": transcript.FORMAT, "events": 7}]
)
def test_what_is_no_transcript_is_refused(data):
    with pytest.raises(ValueError, match="Event 1|Expected an object"):
        transcript.load(data)


@pytest.mark.parametrize("change", [{"name": ["go"]}, {"payload": {}}, {"data": 7}, {"source_seq": "1"}])
def test_a_column_of_another_type_is_refused_by_its_name(change):
    data = json.loads(FILES[0].read_text())
    data["events"][1] |= change
    [column] = change
    with pytest.raises(ValueError, match=f"Event 2 is not one: {column} is .*, expected"):
        transcript.load(data)
