"""`durable_start`, `durable_event`, `durable_enqueue`: what is given to instances."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from django_durable.client.viewing import client


def test_a_start_prints_the_id_and_nothing_else(durable, run):
    result = run("start", "commands.doubles", "--id", "d-1", "--input", '{"number": 4}')
    assert (result.out, result.err, result.code) == ("d-1\n", "", 0)
    durable.run()
    assert client.get_output("d-1") == {"doubled": 8, "label": ""}


def test_an_id_is_made_up_where_none_is_given(durable, run):
    (name,) = run("start", "commands.doubles", "--input", "4").lines
    assert name.startswith("doubles-")
    assert client.get_status(name).orchestration == "commands.doubles"


@pytest.mark.parametrize("given", ["-", "@file"])
def test_input_is_read_from_standard_input_or_a_file(durable, run, tmp_path, given):
    text = '{"number": 4, "label": "grün"}'
    (tmp_path / "input.json").write_text(text, encoding="utf-8")
    given = given.replace("file", str(tmp_path / "input.json"))
    assert run("start", "commands.doubles", "--id", "d-1", "--input", given, stdin=text).code == 0
    durable.run()
    assert client.get_output("d-1") == {"doubled": 8, "label": "grün"}


def test_the_same_start_again_is_told_and_starts_nothing(durable, run):
    for _ in range(2):
        result = run("start", "commands.doubles", "--id", "d-1", "--input", "4")
    assert (result.out, result.code) == ("d-1\n", 0)
    assert "was there already" in result.err


def test_a_version_may_be_chosen(durable, run):
    run("start", "commands.old", "--id", "a")
    run("start", "commands.old", "--id", "b", "--version", "1.0.0")
    assert [client.get_status(each).version for each in "ab"] == ["2.0.0", "1.0.0"]


def test_a_start_may_be_delayed_by_a_duration_or_until_a_moment(durable, run):
    at = datetime.now(UTC) + timedelta(days=2)
    run("start", "commands.old", "--id", "a", "--delay", "1d12h")
    run("start", "commands.old", "--id", "b", "--at", at.isoformat())
    durable.advance(days=1, hours=13)
    assert [client.get_status(each).runtime_status for each in "ab"] == ["Completed", "Pending"]
    durable.advance(days=1)
    assert client.get_status("b").runtime_status == "Completed"


def test_json_has_the_status(durable, run):
    result = run("start", "commands.doubles", "--id", "d-1", "--input", "4", "--json")
    assert (result.json["instance_id"], result.json["created"]) == ("d-1", True)
    assert result.json["instance"]["runtime_status"] == "Pending"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["commands.doubl"], "No orchestration 'commands.doubl' is registered"),
        (["commands.doubles"], "Expected `int`, got `null`"),
        (["commands.doubles", "--input", "{"], "argument -i/--input: It is no JSON"),
        (["commands.doubles", "--input", "hello"], "Text is written in quotes: '\"like this\"'"),
        (["commands.doubles", "--input", "NaN"], "NaN is not in JSON"),
        (["commands.doubles", "--input", "[" * 100_000], "It is no JSON"),
        (["commands.doubles", "--input", "@/nowhere/x.json"], "/nowhere/x.json cannot be read"),
        (["commands.doubles", "--input", "-"], "Standard input is no JSON"),
        (["commands.doubles", "--input", '"x"'], "Expected `int`, got `str`"),
        (["commands.old", "--version", "3.0.0"], "commands.old 1.0.0, commands.old 2.0.0"),
        (["commands.old", "--delay", "soon"], "'soon' is no duration"),
        (["commands.old", "--at", "tomorrow"], "'tomorrow' is no moment"),
        (["commands.old", "--at", "0001-01-01"], "between 1970 and 9999"),
        (["commands.old", "--at", "2026-01-01", "--delay", "1s"], "not allowed with argument"),
        (["commands.old", "--id", "a\nb"], "without control characters"),
    ],
)
def test_what_cannot_be_is_refused_with_a_text_that_names_it(durable, run, arguments, message):
    result = run("start", *arguments, stdin="")
    assert message in result.err
    assert (result.out, result.code) == ("", 1)
    assert client.list_all_instances() == []


def test_events_and_messages_reach_the_instance(durable, run):
    client.start_orchestration("a", "commands.waits")
    client.start_orchestration("b", "commands.waits")
    assert run("event", "a", "go", "--data", '{"by": "me"}').code == 0
    assert run("enqueue", "b", "messages", "--data", "-", stdin="7").code == 0
    durable.run()
    assert client.get_output("a") == {"index": 0, "value": {"by": "me"}}
    assert client.get_output("b") == {"index": 1, "value": 7}


@pytest.mark.parametrize("name", ["event", "enqueue"])
@pytest.mark.parametrize(
    ("chosen", "stdin"),
    [(("a", "b"), None), (("-",), "a\nb\n"), (("--orchestration", "commands.waits", "--yes"), None)],
)
def test_several_are_told_at_once(durable, run, name, chosen, stdin):
    for instance_id in ("a", "b"):
        client.start_orchestration(instance_id, "commands.waits")
    channel = "go" if name == "event" else "messages"

    result = run(name, *chosen, channel, "--data", "7", stdin=stdin)

    assert sorted(result.lines) == ["a told", "b told"]
    durable.run()
    assert [client.get_output(each)["value"] for each in ("a", "b")] == [7, 7]


def test_those_that_cannot_be_told_harm_no_other(durable, run):
    client.start_orchestration("a", "commands.waits")

    result = run("event", "nobody", "a", "go")

    assert (result.lines, result.code) == (["a told"], 1)
    assert "There is no instance 'nobody'" in result.err
    assert "1 of 2 instances not told." in result.err


@pytest.mark.parametrize("name", ["event", "enqueue"])
def test_sending_to_what_has_finished_or_is_not_there_is_refused(durable, run, name):
    client.start_orchestration("a", "commands.old")
    durable.run()
    assert "it is Completed" in run(name, "a", "go").err
    result = run(name, "nobody", "go")
    assert ("There is no instance 'nobody'" in result.err, result.code) == (True, 1)


# In processes of their own.


def test_wait_prints_the_output_and_ends_with_0(start, manage):
    process = start("start", "commands.doubles", "--id", "d-1", "--input", "-", "--wait")
    process.stdin.write('{"number": 21}')
    process.stdin.close()
    assert process.stderr.readline() == "Waiting for d-1.\n"
    assert manage("worker", "--once").code == 0
    assert json.loads(process.stdout.read()) == {"doubled": 42, "label": ""}
    assert process.wait() == 0


def test_wait_ends_with_1_when_it_fails(start, manage):
    process = start("start", "commands.fails", "--id", "f-1", "--wait", "30s")
    assert process.stderr.readline() == "Waiting for f-1.\n"
    manage("worker", "--once")
    assert process.stderr.read() == "CommandError: Instance 'f-1' is Failed: ValueError: broken on purpose.\n"
    assert (process.stdout.read(), process.wait()) == ("", 1)


def test_wait_ends_with_3_when_the_time_is_over_and_the_instance_goes_on(manage):
    result = manage("start", "commands.doubles", "--id", "d-1", "--input", "1", "--wait", "50ms")
    assert result.code == 3
    assert "The time is over, and 'd-1' is Pending." in result.err
    assert "Traceback" not in result.err
    assert client.get_status("d-1").runtime_status == "Pending"


def test_an_argument_that_cannot_mean_anything_ends_with_2(manage):
    result = manage("start", "commands.old", "--delay", "soon")
    assert result.code == 2
    assert result.err.endswith(
        "error: argument --delay: 'soon' is no duration, expected one such as 90s, 15m, 2h30m or 7d.\n"
    )
