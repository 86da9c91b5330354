"""`kill -9` of a worker in the middle of things: another worker takes over, and nothing is lost or doubled.

The victim's leases are short, so that its work is free soon; the survivor's are long, so that a slow machine cannot
make it lose them. What the victim had committed is never run again; what it was in the middle of is run once more.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from .checks import check_finished, completed_labels, output_of
from .stage import until

SHORT = 1.0
"""Seconds: the shortest lease there is."""


class Story(NamedTuple):
    """An orchestration, how far its victim gets, and its output.

    Attributes:
        committed: Activities whose completion is in the history when the worker is killed.
        again: Activities that the worker is in the middle of.
    """

    orchestration: str
    input: Any
    output: Any
    committed: set[str]
    again: set[str]


def steps(first: int, last: int) -> list[str]:
    return [f"s{number}" for number in range(first, last)]


STORIES = {
    "chain": Story("acceptance.chain", {"steps": 6, "gate_at": 3}, steps(0, 6), {*steps(0, 3)}, {"s3"}),
    "first": Story("acceptance.chain", {"steps": 2, "gate_at": 0}, steps(0, 2), set(), {"s0"}),
    "async": Story("acceptance.chain_async", {"steps": 6, "gate_at": 3}, steps(0, 6), {*steps(0, 3)}, {"s3"}),
    "local": Story("acceptance.local", {"steps": 6, "gate_at": 3}, steps(0, 6), {*steps(0, 3)}, {"s3"}),
    "stored": Story("acceptance.chain_stored", {"steps": 6, "gate_at": 3}, steps(0, 6), {*steps(0, 3)}, {"s3"}),
    "wide": Story("acceptance.fan_out", {"width": 24, "gated": 6}, steps(0, 24), {*steps(0, 18)}, {*steps(18, 24)}),
}
ATOMIC = Story("acceptance.atomic", {"steps": 4, "gate_at": 2}, steps(0, 4), {*steps(0, 2)}, {"s2"})


@pytest.mark.parametrize("stories", [STORIES, {"atomic": ATOMIC}], ids=["chains and a fan-out", "atomic"])
def test_what_was_committed_is_kept_and_what_was_running_runs_again(stories, workers, client, stage, effects):
    victim = workers.start("--concurrency", "16", LEASE=SHORT)
    for key, story in stories.items():
        client.start_orchestration(key, story.orchestration, story.input)
    until(
        lambda: all(completed_labels(client, key) == story.committed for key, story in stories.items()),
        "everything before the gates to be committed",
    )
    until(lambda: all(story.again <= set(stage.counts(key)) for key, story in stories.items()), "the gates")
    victim.kill()
    stage.open("gate")
    workers.start()
    for key, story in stories.items():
        assert output_of(client, key) == story.output
        check_finished(client, key)
        counts = stage.counts(key)
        assert {label: counts[label] for label in story.committed} == dict.fromkeys(story.committed, 1)
        assert {label: counts[label] for label in story.again} == dict.fromkeys(story.again, 2)
    written = sorted(effects.objects.values_list("instance", "label"))
    assert written == [("atomic", label) for label in ATOMIC.output if "atomic" in stories]


def test_code_that_is_paused_for_an_event_is_resumed_in_another_process(workers, client, stage):
    victim = workers.start(LEASE=SHORT)
    client.start_orchestration("it", "acceptance.pauses", "before")
    until(lambda: kinds(client, "it")[-1:] == ["ExternalSubscribed"], "the pause")
    victim.kill()
    client.raise_event("it", "allow", {"limit": 7})
    survivor = workers.start()
    processes = {"began": victim.process.pid, "ended": survivor.process.pid}
    # Its history alone would not bring it here: a replay reads its own process's number.
    assert output_of(client, "it") == {**processes, "kept": ["before", "after"], "allowed": {"limit": 7}}
    assert stage.counts("it") == {"before": 1}


def test_a_timer_of_a_killed_worker_fires_once_and_not_early(workers, client, stage):
    victim = workers.start(LEASE=SHORT)
    client.start_orchestration("it", "acceptance.timer", 1500)
    until(lambda: "TimerCreated" in kinds(client, "it"), "the timer")
    victim.kill()
    workers.start()
    assert output_of(client, "it") >= 1500
    check_finished(client, "it")
    assert stage.counts("it") == {"before": 1, "after": 1}


def test_a_timer_that_became_due_while_no_worker_ran_fires_at_once(workers, client):
    victim = workers.start(LEASE=SHORT)
    client.start_orchestration("it", "acceptance.sleeps", 200)
    until(lambda: "TimerCreated" in kinds(client, "it"), "the timer")
    victim.kill()
    until(lambda: client.get_queue_depths().orchestrator_queue > 0, "the timer to be due")
    workers.start()
    assert output_of(client, "it") == "slept"
    check_finished(client, "it")


def test_a_session_of_a_killed_worker_moves_whole_to_another_one(workers, client, stage):
    from django_durable.models import Session

    victim = workers.start(LEASE=SHORT)
    client.start_orchestration("it", "acceptance.session", {"steps": 4, "gate_at": 1})
    stage.wait_until_reached("gate")
    victim.kill()
    stage.open("gate")
    survivors = [workers.start(), workers.start()]
    ran_on = output_of(client, "it")
    owner = Session.objects.get().worker_id
    assert owner in {each.name for each in survivors}
    assert ran_on == [victim.name, owner, owner, owner]
    assert stage.counts("it") == {"s0": 1, "s1": 2, "s2": 1, "s3": 1}
    check_finished(client, "it")


def test_generations_go_on_with_their_kv_and_queue(workers, client, stage):
    victim = workers.start(LEASE=SHORT)
    client.start_orchestration("it", "acceptance.generations", {"left": 3, "gate_at": 3})
    for number in (1, 2, 3, 4):
        client.enqueue_event("it", "numbers", number)
    stage.wait_until_reached("gate")
    victim.kill()
    stage.open("gate")
    workers.start()
    assert output_of(client, "it") == 10
    assert client.list_executions("it") == [1, 2, 3, 4]
    check_finished(client, "it")
    assert stage.counts("it") == {"g1": 1, "g2": 1, "g3": 2, "g4": 1}


def test_children_and_grandchildren_report_through_the_crash(workers, client, stage):
    victim = workers.start(LEASE=SHORT)
    client.start_orchestration("it", "acceptance.family", {"children": 2, "depth": 2})
    until(lambda: len(client.get_instance_tree("it").all_ids) == 7, "the grandchildren")
    stage.wait_until_reached("gate")
    victim.kill()
    stage.open("gate")
    workers.start()
    assert output_of(client, "it") == 7
    check_finished(client, "it")
    assert stage.counts("it") == {"parent": 1}


def test_a_worker_killed_between_a_start_and_its_first_turn_leaves_a_start_that_runs(workers, client):
    workers.start().kill()
    client.start_orchestration("it", "acceptance.chain", 1)
    workers.start()
    assert output_of(client, "it") == ["s0"]
    check_finished(client, "it")


def test_a_restarted_worker_of_the_same_name_goes_on_without_waiting_for_its_old_leases(workers, client, stage):
    victim = workers.start(name="same", LEASE=3600)
    client.start_orchestration("it", "acceptance.chain", {"steps": 3, "gate_at": 1})
    stage.wait_until_reached("gate")
    victim.kill()
    stage.open("gate")
    workers.start(name="same", LEASE=3600)
    assert output_of(client, "it") == steps(0, 3)
    check_finished(client, "it")
    assert stage.counts("it") == {"s0": 1, "s1": 2, "s2": 1}


def kinds(client, instance_id: str) -> list[str]:
    return [event.kind for event in client.read_execution_history(instance_id)]
