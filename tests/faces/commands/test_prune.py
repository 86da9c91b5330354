"""`durable_prune`: what is deleted, what stays, and in which steps."""

from __future__ import annotations

import pytest

from django_durable.client.viewing import client


@pytest.fixture
def instances(durable):
    """Finished ones, a failed one, a family that goes on, and one that continued as new."""
    for number in range(5):
        client.start_orchestration(f"d-{number}", "commands.doubles", number)
    client.start_orchestration("f-1", "commands.fails")
    client.start_orchestration("family", "commands.parent")
    client.start_orchestration("c-1", "commands.counts", 4)
    durable.run()
    return durable


def ids() -> set[str]:
    return set(client.list_all_instances())


OPEN = {"family", "family-child", "c-1"}


def test_what_has_ended_for_so_long_is_deleted(instances, run):
    assert run("prune", "--older-than", "1h").out == "0 instances deleted.\n"
    result = run("prune", "--older-than", "0s")
    assert (result.out, result.err, result.code) == ("6 instances deleted.\n", "", 0)
    assert ids() == OPEN


def test_a_dry_run_counts_and_deletes_nothing(instances, run):
    before = ids()
    assert run("prune", "--older-than", "0s", "--dry-run").out == "6 root instances would be deleted.\n"
    assert run("prune", "--older-than", "0s", "--dry-run", "--json").json == {"dry_run": True, "roots": 6}
    assert ids() == before


def test_a_filter_narrows_what_is_deleted(instances, run):
    assert run("prune", "--older-than", "0s", "--status", "Failed").out == "1 instance deleted.\n"
    assert run("prune", "--older-than", "0s", "--prefix", "d-1").out == "1 instance deleted.\n"
    assert ids() == {"d-0", "d-2", "d-3", "d-4"} | OPEN


def test_descendants_go_with_their_root(instances, run):
    client.raise_event("family-child", "go")
    instances.run()
    result = run("prune", "--older-than", "0s", "--orchestration", "commands.parent", "--json")
    assert result.json["instances_deleted"] == 2


def test_it_is_done_in_batches(instances, run, monkeypatch):
    limits = []
    delete = client.delete_instance_bulk
    monkeypatch.setattr(client, "delete_instance_bulk", lambda filter: limits.append(filter.limit) or delete(filter))
    result = run("prune", "--older-than", "0s", "--batch-size", "2", terminal=True)
    assert limits == [2, 2, 2, 2]
    assert "\r\x1b[KDeleted 2 of 6 roots" in result.err
    assert result.err.endswith("\r\x1b[K")


def test_old_executions_are_deleted_and_their_instance_goes_on(instances, run):
    assert run("prune", "--executions", "--keep-last", "2", "--dry-run").out == "3 executions would be deleted.\n"
    assert run("prune", "--executions", "--older-than", "1h").out == "0 executions deleted.\n"
    assert run("prune", "--executions", "--keep-last", "2").out == "3 executions deleted.\n"
    assert client.list_executions("c-1") == [4, 5]
    assert run("prune", "--executions", "--prefix", "x").out == "0 executions deleted.\n"
    assert run("prune", "--executions", "--json").json["executions_deleted"] == 1
    client.raise_event("c-1", "go")
    instances.run()
    assert client.get_status("c-1").runtime_status == "Completed"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Say with --older-than how long ago"),
        (["--older-than", "0s", "--status", "Running"], "Only those that have ended are deleted"),
        (["--older-than", "0s", "--keep-last", "1"], "--keep-last goes with --executions"),
        (["--older-than", "never"], "'never' is no moment"),
        (["--older-than", "0s", "--batch-size", "0"], "no whole number from 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(instances, run, arguments, message):
    before = ids()
    result = run("prune", *arguments)
    assert (message in result.err, result.code) == (True, 1)
    assert ids() == before
