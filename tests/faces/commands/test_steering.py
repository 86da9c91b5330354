"""`durable_cancel`, `_terminate`, `_suspend`, `_resume`: one, several, and those of a filter."""

from __future__ import annotations

import pytest

from django_durable.api.problems import CODES
from django_durable.client.viewing import client
from django_durable.management.steering import code_of


def status(instance_id: str) -> str:
    return client.get_status_record(instance_id).runtime_status


@pytest.fixture
def waiting(durable):
    """Three instances that wait, and one that has finished."""
    for name in ("a", "b", "c"):
        client.start_orchestration(name, "commands.waits")
    client.start_orchestration("done", "commands.old")
    durable.run()
    return durable


def test_one_instance_is_canceled_with_a_reason(waiting, run):
    result = run("cancel", "a", "--reason", "sold out")
    assert (result.out, result.err, result.code) == ("a canceled\n", "", 0)
    waiting.run()
    assert status("a") == "Canceled"
    assert "sold out" in run("inspect", "a", "--history", "--full").out


def test_one_instance_is_terminated_with_a_reason(waiting, run):
    assert run("terminate", "a", "--reason", "sold out").code == 0
    assert status("a") == "Terminated"
    assert "sold out" in run("inspect", "a").out


def test_an_instance_is_suspended_and_resumed(waiting, run):
    assert run("suspend", "a").out == "a suspended\n"
    assert status("a") == "Suspended"
    assert run("resume", "a").out == "a resumed\n"
    assert status("a") == "Running"


@pytest.mark.parametrize("name", ["cancel", "terminate", "suspend", "resume"])
def test_what_the_status_does_not_allow_is_refused_with_the_reason(waiting, run, name):
    result = run(name, "done")
    assert result.err.startswith("CommandError: Cannot ")
    assert "it is Completed, expected" in result.err
    assert (result.out, result.code) == ("", 1)


def test_what_is_refused_for_one_harms_no_other(waiting, run):
    result = run("suspend", "a", "done", "nobody", "b", "a")
    assert result.lines == ["a suspended", "b suspended"]
    assert "Cannot suspend instance 'done'" in result.err
    assert "There is no instance 'nobody'" in result.err
    assert result.err.endswith("CommandError: 2 of 4 instances not suspended.")
    assert result.code == 1
    assert [status(each) for each in "abc"] == ["Suspended", "Suspended", "Running"]


def test_ids_are_read_from_standard_input(waiting, run):
    listed = run("list", "--ids", "--prefix", "a").out
    assert run("suspend", "-", stdin=listed + "\nb\n").lines == ["a suspended", "b suspended"]
    assert "no instance id" in run("suspend", "-", stdin="\n").err


def test_a_filter_has_to_be_confirmed_where_nobody_can_be_asked(waiting, run):
    result = run("suspend", "--orchestration", "commands.waits", stdin="")
    assert "Pass --yes" in result.err
    assert (status("a"), result.code) == ("Running", 1)


@pytest.mark.parametrize(("answer", "expected"), [("yes\n", "Suspended"), ("y\n", "Running"), ("", "Running")])
def test_a_person_is_asked_with_the_number_of_instances(waiting, run, answer, expected):
    result = run("suspend", "--orchestration", "commands.waits", stdin=answer, terminal=True)
    assert "This will suspend 3 instances. Type 'yes' to go on: " in result.err
    assert status("a") == expected


def test_a_filter_chooses_only_those_that_it_can_be_done_to(waiting, run):
    result = run("suspend", "--all", "--yes")
    assert result.lines == ["c suspended", "b suspended", "a suspended"]
    assert (result.err, result.code) == ("", 0)
    assert run("resume", "--status", "Suspended", "--limit", "2", "--yes").lines == ["c resumed", "b resumed"]


def test_a_filter_that_matches_nothing_is_told_and_no_error(waiting, run):
    result = run("cancel", "--prefix", "x", "--yes")
    assert (result.out, result.code) == ("", 0)
    assert "could be canceled" in result.err


def test_a_dry_run_says_what_would_be_done_and_does_nothing(waiting, run):
    result = run("terminate", "--prefix", "b", "--dry-run")
    assert result.lines == ["b would be terminated"]
    assert (status("b"), result.code) == ("Running", 0)
    named = run("resume", "a", "done", "--dry-run")
    assert named.out == ""
    assert "Cannot resume instance 'a': it is Running" in named.err
    assert named.code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Nothing is chosen. Give instance ids, a filter such as --status Running, or --all."),
        (["a", "--all"], "Give either instance ids or a filter."),
        (["a", "--prefix", "b"], "Give either instance ids or a filter."),
    ],
)
def test_ids_and_filters_exclude_each_other_and_one_is_needed(waiting, run, arguments, message):
    result = run("cancel", *arguments)
    assert (message in result.err, result.code) == (True, 1)


def test_json_has_the_outcome_of_each_and_the_totals(waiting, run):
    result = run("suspend", "a", "done", "--json")
    refused = result.json["results"].pop()
    assert result.json["operation"] == "suspend"
    assert {name: result.json[name] for name in ("dry_run", "succeeded", "failed")} == {
        "dry_run": False,
        "succeeded": 1,
        "failed": 1,
    }
    assert result.json["results"][0] == {"instance_id": "a", "ok": True, "code": None, "detail": None}
    assert (refused["instance_id"], refused["ok"], refused["code"]) == ("done", False, "illegal_transition")
    assert result.code == 1


def test_codes_of_errors_are_those_of_the_rest_api():
    made = {kind: kind.__new__(kind) for kind in CODES}
    differing = {kind.__name__ for kind, error in made.items() if code_of(error) != CODES[kind][1]}
    # The bases of the tree, of which no error is made, and one that no command can meet.
    assert differing == {"CallerError", "AuthorError", "ContentionError", "NondeterminismError"}
