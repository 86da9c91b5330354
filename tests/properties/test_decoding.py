"""Whatever stands in a payload or in an imported history, only typed errors come out of reading it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from . import hostile

EXAMPLES = 20_000 if os.environ.get("DURABLE_CRASHES") == "all" else 300
HISTORIES = [json.loads(path.read_text()) for path in sorted(Path(__file__).parent.parent.glob("histories/*.json"))]

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
    | st.sampled_from(["2030-01-01", "2030-01-01T00:00:00Z", "1e999", "NaN", "red", "12:00", "P1D", "x", "y", "id"])
)  # fmt: skip
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
)
PAYLOADS = st.text(max_size=40) | VALUES.map(json.dumps)


@settings(max_examples=EXAMPLES)
@given(payload=PAYLOADS, type=st.sampled_from(hostile.TYPES))
def test_decoding_a_payload_gives_its_value_or_a_payload_error(payload, type):
    hostile.decode(payload, type)


@pytest.mark.parametrize(
    "payload", ["[" * 100_000, '{"a":' * 100_000, "1" * 10_000, '"\\ud800"', "\ud800", "\x00", "1e400", "-0"]
)
@pytest.mark.parametrize("type", hostile.TYPES, ids=str)
def test_decoding_what_is_extreme_gives_its_value_or_a_payload_error(payload, type):
    hostile.decode(payload, type)


@st.composite
def damaged(draw):
    """A recorded history with a few things done to it."""
    data = json.loads(json.dumps(draw(st.sampled_from(HISTORIES))))
    events = data["events"]
    for _ in range(draw(st.integers(1, 3))):
        if not events:
            break
        place = draw(st.integers(0, len(events) - 1))
        match draw(st.sampled_from(["drop", "double", "swap", "cut", "change", "payload", "kind"])):
            case "drop":
                del events[place]
            case "double":
                events.insert(place, dict(events[place]))
            case "swap":
                other = draw(st.integers(0, len(events) - 1))
                events[place], events[other] = events[other], events[place]
            case "cut":
                del events[place + 1 :]
            case "change":
                column = draw(st.sampled_from(["name", "source_seq", "payload", "data", "recorded_at", "seq"]))
                events[place][column] = draw(VALUES | PAYLOADS)
            case "payload":
                events[place][draw(st.sampled_from(["payload", "data"]))] = draw(PAYLOADS)
            case "kind":
                events[place]["kind"] = draw(st.sampled_from([each["kind"] for each in events]))
    if draw(st.booleans()):
        for seq, event in enumerate(events, start=1):
            event["seq"] = seq
    return data


@settings(max_examples=EXAMPLES)
@given(data=damaged())
def test_replaying_a_damaged_history_gives_an_execution_or_a_typed_error(data):
    hostile.replay(json.dumps(data))


@settings(max_examples=EXAMPLES)
@given(text=st.text(max_size=60) | VALUES.map(json.dumps))
def test_importing_what_is_no_history_gives_a_value_error(text):
    hostile.replay(text)
