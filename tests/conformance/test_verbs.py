"""Every verb, in all styles, with a hot cache and with none, and replayed after it completed.

Run on SQLite and on PostgreSQL by the `--database` option.
"""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from django_durable.engine.states import RuntimeStatus
from django_durable.testing import assert_prefix_law, assert_replays

from .activities import LONG, RUNS, registry
from .asyncio_stories import EXPECTED as ASYNCIO
from .checkpoint_stories import EXPECTED as STORED
from .orchestrations import PAIRS

PREFIX_LAW_EVENTS = 200
"""Longer histories are replayed as a whole only: the law costs a replay per event."""
EXPECTED_ALL = [
    {"ok": 2},
    {"err": "Activity 'refuse' failed: ValueError: no"},
    {"ok": None},
    {"ok": "went"},
    {"ok": "queued"},
    {"ok": 5},
    "now",
    {"ok": [{"ok": 0}, {"ok": 2}, {"ok": 4}]},
    {"ok": {"index": 0, "value": 10}},
    [],
]


def check_replayed(run, instance_id):
    """A finished instance replays to the same outcome from every prefix, and runs nothing again."""
    before = RUNS.copy()
    for number in run.client.list_executions(instance_id):
        history = run.client.read_execution_history(instance_id, number)
        assert assert_replays(registry.environment, history).outcome == history[-1].fact
        if len(history) < PREFIX_LAW_EVENTS:
            assert_prefix_law(registry.environment, history)
        run.keep(history)
    assert before == RUNS


def completed(run, instance_id):
    status = run.client.get_status(instance_id)
    assert status.runtime_status == RuntimeStatus.COMPLETED, (status, run.kinds(instance_id))
    check_replayed(run, instance_id)
    return status.output


def test_activities_run_by_function_and_by_name_with_one_or_several_arguments(run, style):
    key = run.start(PAIRS["activities"][style], n=3)
    run.drain()
    assert completed(run, key) == [6, 12, 13, 15, 18]


def test_an_activity_error_keeps_type_message_and_traceback(run, style):
    key = run.start(PAIRS["activity_error"][style], reason="no stock")
    run.drain()
    assert completed(run, key) == ["ValueError", "no stock", True]


def test_retry_policies_of_the_activity_and_of_the_call_are_followed(run, style):
    key = run.start(PAIRS["retry"][style])
    run.drain()
    for _ in range(3):
        assert run.client.get_status(key).runtime_status == RuntimeStatus.RUNNING
        run.advance(timedelta(seconds=5))
    assert completed(run, key) == [3, 4, "attempt 2"]


def test_sessions_and_tags_reach_the_activity(run, style):
    key = run.start(PAIRS["sessions_and_tags"][style])
    run.drain()
    assert completed(run, key) == ["s1", "gpu", "s2", "gpu", "who"]


def test_timers_fire_when_due_and_not_before(run, style):
    key = run.start(PAIRS["timer"][style])
    run.drain()
    run.advance(LONG - timedelta(seconds=1))
    assert run.kinds(key)[-1] == "TimerCreated"
    run.advance(timedelta(seconds=1))
    run.advance(timedelta(milliseconds=1500))
    assert completed(run, key) is True


def test_events_before_their_wait_are_kept_in_order(run, style):
    key = run.start(PAIRS["events"][style])
    for name, data in [("early", "bird"), ("step", 1), ("step", 2)]:
        run.client.raise_event(key, name, data)
    run.drain()
    assert completed(run, key) == ["bird", 1, 2]


def test_events_after_their_wait_resume_it(run, style):
    key = run.start(PAIRS["events"][style])
    run.drain()
    for name, data in [("early", None), ("step", 1), ("step", 2)]:
        run.client.raise_event(key, name, data)
        run.drain()
    assert completed(run, key) == [None, 1, 2]


@pytest.mark.parametrize("count", [1, 150, 1000])
def test_any_number_of_queued_messages_is_drained_in_order(run, style, count):
    key = run.start(PAIRS["queue"][style], count=count)
    run.client.enqueue_event(key, "other", "last")
    for number in range(count):
        run.client.enqueue_event(key, "numbers", number)
    run.drain()
    assert completed(run, key) == [sum(range(count)), "last"]


def test_sub_orchestrations_plain_with_id_versioned_and_failing(run, style):
    key = run.start(PAIRS["children"][style], n=3)
    run.drain()
    assert completed(run, key) == [7, 7, 6, 6, "LookupError", "InstanceAlreadyExists"]
    assert f"{key}-kid" in run.client.get_instance_tree(key).all_ids


def test_detached_starts_run_and_are_no_children(run, style):
    key = run.start(PAIRS["detached"][style], n=4)
    run.drain()
    assert completed(run, key) == "started"
    assert run.client.get_status(f"{key}-detached").output == 9
    assert run.client.get_status(f"{key}-detached2").output == 8
    assert run.client.get_instance_tree(key).all_ids == [key]


def test_continue_as_new_carries_kv_status_events_and_queues(run, style):
    key = run.start(PAIRS["continue_as_new"][style], left=2)
    run.client.raise_event(key, "kept", "event")
    run.client.enqueue_event(key, "kept", "message")
    run.drain()
    assert completed(run, key) == [3, ["round1", "round2", "round3"], "0 left", "event", "message"]
    assert run.client.list_executions(key) == [1, 2, 3]


def test_all_waits_for_every_kind_of_future_and_nests(run, style):
    key = run.start(PAIRS["all"][style])
    run.client.raise_event(key, "go", "went")
    run.client.enqueue_event(key, "q", "queued")
    run.drain()
    run.advance(timedelta(seconds=1))
    assert completed(run, key) == EXPECTED_ALL


def test_race_takes_the_first_and_takes_the_losers_back(run, style):
    key = run.start(PAIRS["race"][style])
    run.drain()
    run.advance(timedelta(seconds=1))
    loser = next(each for each in run.client.get_instance_tree(key).all_ids if each != key)
    run.client.raise_event(key, "go", "event")
    run.drain()
    run.client.enqueue_event(key, "q", "kept")
    run.drain()
    assert completed(run, key) == [
        {"index": 1, "value": 4},
        {"index": 1, "value": None},
        {"index": 0, "value": "event"},
        "lost",
        "kept",
    ]
    assert run.client.get_status(loser).runtime_status == RuntimeStatus.CANCELED
    assert run.leftovers(key) == {}


def test_custom_status_and_kv_are_read_back_and_published(run, style):
    key = run.start(PAIRS["status_and_kv"][style])
    run.drain()
    assert run.client.get_status(key).custom_status == {"progress": 0.5}
    assert run.client.get_kv_all_values(key) == {"b": {"deep": [True]}, "c": "text"}
    run.advance(timedelta(seconds=1))
    own = [["late"], {"late": None}, 1, None]
    assert completed(run, key) == [{"progress": 0.5}, 2, own, None, "yes"]
    assert run.client.get_kv_value(key, "end") == "yes"


def test_guids_random_numbers_and_patches_repeat_on_replay_and_differ_between_instances(run, style):
    keys = [run.start(PAIRS["identity"][style]) for _ in range(2)]
    run.drain()
    one, other = (completed(run, key) for key in keys)
    assert one[3] is True
    assert len({one[0], one[1], other[0], other[1]}) == 4
    assert all(uuid.UUID(each).version == 4 for each in one[:2])
    assert one[2] != other[2]


def test_cancel_raises_into_the_code_which_compensates_and_ends_canceled(run, style):
    key = run.start(PAIRS["compensates"][style])
    run.drain()
    run.client.cancel_instance(key, "customer left")
    run.drain()
    status = run.client.get_status(key)
    assert status.runtime_status == RuntimeStatus.CANCELED
    assert status.custom_status == "undone"
    check_replayed(run, key)
    assert run.leftovers(key) == {}


def test_an_exception_fails_the_instance_with_type_and_traceback(run, style):
    key = run.start(PAIRS["fails"][style])
    run.drain()
    status = run.client.get_status(key)
    assert status.runtime_status == RuntimeStatus.FAILED
    assert (status.error.error_type, status.error.message) == ("ValueError", "broken on purpose")
    assert "orchestrations.py" in status.error.traceback
    check_replayed(run, key)


@pytest.mark.parametrize("name", [*ASYNCIO, *STORED])
def test_plain_asyncio_works(run, name):
    key = run.start(name)
    run.drain()
    for _ in range(3):
        run.advance(timedelta(seconds=2))
    assert completed(run, key) == {**ASYNCIO, **STORED}[name]


def test_a_finished_instance_is_not_replayed(run, style):
    key = run.start(PAIRS["activities"][style], n=3)
    run.drain()
    run.restart()
    run.client.start_definition(PAIRS["activities"][style], (), {"n": 3}, instance_id=key)  # It is there already.
    run.drain()
    assert run.client.get_output(key) == [6, 12, 13, 15, 18]
    counts = run.worker.metrics_snapshot()
    assert {counts[each] for each in ("turns", "cache_misses", "instances_claimed")} == {0}


def test_stories_are_told_in_all_styles():
    for name, styles in PAIRS.items():
        assert styles.keys() == {"gen", "aio", "stored"}, name
