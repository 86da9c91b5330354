"""`durable_retry`: one, several, those of a filter."""

from __future__ import annotations

import pytest

from django_durable.client.viewing import client


@pytest.fixture
def ended(durable):
    """What failed, what was terminated, what completed, and a family whose child failed with it."""
    client.start_orchestration("f-1", "commands.fails")
    client.start_orchestration("f-2", "commands.fails")
    client.start_orchestration("t-1", "commands.waits")
    client.start_orchestration("done", "commands.old")
    client.start_orchestration("family", "commands.unlucky_parent")
    durable.run()
    client.terminate_instance("t-1")
    return durable


def status(instance_id: str) -> str:
    return client.get_status_record(instance_id).runtime_status


def test_an_instance_goes_on_as_a_new_execution(ended, run):
    result = run("retry", "t-1")
    assert (result.out, result.err, result.code) == ("t-1 retried\n", "", 0)
    assert client.list_executions("t-1") == [1, 2]
    client.raise_event("t-1", "go")
    ended.run()
    assert status("t-1") == "Completed"


def test_what_did_not_end_badly_is_refused(ended, run):
    result = run("retry", "done")
    assert "Cannot retry instance 'done': it is Completed" in result.err
    assert result.code == 1


def test_a_filter_chooses_roots_that_failed_unless_it_names_other_statuses(ended, run):
    assert run("retry", "--all", "--dry-run").lines == [f"{each} would be retried" for each in ("family", "f-2", "f-1")]
    assert run("retry", "--all", "--status", "Terminated", "--yes").lines == ["t-1 retried"]
    assert run("retry", "--prefix", "f-", "--yes").lines == ["f-2 retried", "f-1 retried"]


def test_a_dry_run_refuses_what_the_retry_would(ended, run):
    result = run("retry", "f-1", "done", "family-child", "--dry-run")
    assert result.lines == ["f-1 would be retried"]
    assert "it is a sub-orchestration, expected a root" in result.err
    assert "it is Completed, expected" in result.err
    assert status("f-1") == "Failed"


def test_the_event_to_go_back_to_may_be_chosen(ended, run):
    assert run("retry", "t-1", "--from-event", 1).code == 0
    ended.run()
    assert len([each for each in client.read_execution_history("t-1") if each.fact.kind == "ActivityScheduled"]) == 1
    refused = run("retry", "f-1", "--from-event", 99)
    assert (refused.err.startswith("CommandError: "), refused.code) == (True, 1)
    assert "--from-event is for one instance" in run("retry", "--all", "--from-event", 1).err


def test_a_retried_history_replays_and_is_exported_under_its_own_name(ended, run):
    run("retry", "t-1")
    assert run("check_replay", "--processes", "1").code == 0
    ended.run()
    lines = run("export", "t-1").out
    assert run("check_replay", "--processes", "1", "-", stdin=lines).code == 0
    assert run("check_replay", "--processes", "1").code == 0


def test_a_fork_goes_on_from_an_event_under_an_id_of_its_own(ended, run):
    client.start_orchestration("w-1", "commands.waits")
    ended.run()
    client.raise_event("w-1", "go", "first")
    ended.run()
    seq = next(each.seq for each in client.read_execution_history("w-1") if each.fact.kind == "ExternalEvent")
    result = run("fork", "w-1", "w-2", "--from-event", seq)
    assert (result.out, result.err, result.code) == ("w-2\n", "", 0)
    ended.run()
    assert client.get_output("w-2") == {"index": 0, "value": "first"}
    assert client.get_output("w-1") == {"index": 0, "value": "first"}
    line = run("export", "w-2").out
    verdict = run("check_replay", "--processes", "1", "--json", "-", stdin=line)
    assert verdict.json["ok"] is True


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody", "x"], "There is no instance 'nobody'"),
        (["f-1", "f-2"], "already exists"),
        (["f-1", "x", "--execution", "9"], "execution 9"),
        (["f-1", "a\nb"], "without control characters"),
    ],
)
def test_a_fork_that_cannot_be_is_refused(ended, run, arguments, message):
    result = run("fork", *arguments)
    assert (message in result.err, result.out, result.code) == (True, "", 1)
