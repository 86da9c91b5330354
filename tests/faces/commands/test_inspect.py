"""`durable_inspect`: text, JSON, watching."""

from __future__ import annotations

import json
import os
import re
import signal
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from django_durable.client.viewing import client

from .conftest import Terminal

PATIENCE = 30


def test_it_says_what_the_instance_is_and_what_it_waits_for(durable, run):
    client.start_orchestration("w-1", "commands.waits")
    durable.run()
    text = run("inspect", "w-1").out
    for line in (
        r"Instance +w-1",
        r"Orchestration +commands.waits 1.0.0",
        r"Status +Running",
        r"Created +20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\+00:00  \(.* ago\)",
        r'Custom status +"waiting"',
        r"Waits for",
        r"  timer  due in 1 d 0 h, ",
        r"  event go  since ",
        r"  queue messages  since ",
        r"Timeline",
        r"  activity  reserve +\[.*\]  ",
        r"  event +go +\[ *=*>\]  .*, open",
    ):
        assert re.search(f"^{line}", text, re.MULTILINE), f"{line} in\n{text}"


def test_it_says_how_an_activity_fares(durable, run):
    client.start_orchestration("c-1", "commands.charges", 7)
    durable.run()
    text = run("inspect", "c-1").out
    assert re.search(r"activity commands.charge  attempt 2, next try in 1 d 0 h, failed with OSError: no answer", text)


def test_moments_are_shown_in_the_projects_time_zone_and_json_is_utc(durable, run, settings):
    settings.TIME_ZONE = "Asia/Tokyo"
    client.start_orchestration("d-1", "commands.doubles", 1)
    assert re.search(r"Created +\S+ \S+\+09:00", run("inspect", "d-1").out)
    assert run("inspect", "d-1", "--json").json["created_at"].endswith("Z")


def test_an_error_is_shown_and_its_traceback_where_all_is_asked_for(durable, run):
    client.start_orchestration("f-1", "commands.fails")
    durable.run()
    assert "Error\n  ValueError: broken on purpose\n" in run("inspect", "f-1").out
    full = run("inspect", "f-1", "--full").out
    assert "Traceback (most recent call last)" in full


def test_payloads_are_cut_unless_all_is_asked_for(durable, run):
    client.start_orchestration("d-1", "commands.doubles", {"number": 1, "label": "x" * 5_000})
    durable.run()
    assert all(len(line) < 250 for line in run("inspect", "d-1", "--history").lines)
    assert run("inspect", "d-1", "--full").out.count("x" * 5_000) == 2


def test_the_history_is_read_some_events_at_a_time(durable, run, monkeypatch):
    monkeypatch.setattr("django_durable.management.inspection.EVENTS_AT_ONCE", 7)
    client.start_orchestration("m-1", "commands.many", 20)
    durable.run()
    text = run("inspect", "m-1", "--history").out
    seqs = [int(line.split()[0]) for line in text.split("History\n")[1].splitlines()[1:]]
    assert seqs == list(range(1, 43))
    assert re.search(r"42 +\S+ \S+ .*OrchestrationCompleted", text)


def test_a_long_history_is_drawn_as_a_row_for_each_name(durable, run):
    client.start_orchestration("m-1", "commands.many", 40)
    durable.run()
    assert re.search(r"activity  reserve  \[[ .=|]{40}\]  40 times", run("inspect", "m-1").out)


def test_the_tree_is_indented(durable, run):
    client.start_orchestration("family", "commands.parent")
    durable.run()
    lines = run("inspect", "family", "--tree").out.split("Tree\n")[1].splitlines()
    assert [line.split("commands")[0].rstrip() for line in lines[1:]] == ["family", "  family-child"]
    assert "child family-child (commands.waits)" in run("inspect", "family").out
    assert re.search(r"Parent +family", run("inspect", "family-child").out)


def test_an_earlier_execution_is_shown_where_it_is_asked_for(durable, run):
    client.start_orchestration("c-1", "commands.counts", 2)
    durable.run()
    current, first = run("inspect", "c-1").out, run("inspect", "c-1", "--execution", 1).out
    assert re.search(r"Execution +3$", current, re.MULTILINE)
    assert "Waits for" in current
    assert re.search(r"Execution +3, shown is 1", first)
    assert "Waits for" not in first
    result = run("inspect", "c-1", "--execution", 9)
    assert ("has no execution 9; it has 3 from 1 to 3" in result.err, result.code) == (True, 1)


def test_json_has_all_that_was_asked_for(durable, run):
    client.start_orchestration("family", "commands.parent")
    durable.run()
    data = run("inspect", "family", "--json", "--history", "--tree").json
    assert [each["kind"] for each in data["history"]] == ["OrchestrationStarted", "SubOrchestrationScheduled"]
    assert [each["instance_id"] for each in data["tree"]] == ["family", "family-child"]
    (waiting,) = data["waiting_for"]
    assert (waiting["kind"], waiting["instance_id"]) == ("child", "family-child")


def test_what_is_waited_for_by_name_is_told_apart(durable, run):
    client.start_orchestration("it", "commands.listens")
    durable.run()
    found = run("inspect", "it", "--json").json["waiting_for"]
    assert [(each["kind"], each["name"]) for each in found] == [
        ("promise", "approval"),
        ("stream", "words"),
        ("event", "go"),
    ]


def test_an_unknown_instance_is_told(db, run):
    result = run("inspect", "nobody")
    assert (result.err, result.code) == (
        "CommandError: There is no instance 'nobody'. Check the id, or whether the instance was deleted or its start "
        "rolled back.",
        1,
    )


# Watching.


@pytest.mark.parametrize(("orchestration", "code"), [("commands.old", 0), ("commands.fails", 1)])
def test_watching_what_has_ended_ends_at_once_with_its_code(durable, run, orchestration, code):
    client.start_orchestration("it", orchestration)
    durable.run()
    result = run("inspect", "it", "--watch")
    assert len(result.lines) == 1
    assert result.code == code


def test_watching_writes_a_line_for_each_change_until_the_end(start, manage):
    client.start_orchestration("w-1", "commands.waits")
    process = start("inspect", "w-1", "--watch")
    assert re.search(r"Pending  revision 1$", process.stdout.readline())
    manage("worker", "--once")
    while '"waiting"' not in process.stdout.readline():
        pass
    manage("event", "w-1", "go")
    manage("worker", "--once")
    assert "Completed" in process.stdout.read().splitlines()[-1]
    assert (process.wait(PATIENCE), process.stderr.read()) == (0, "")


def test_watching_as_json_writes_a_status_a_line(start, manage):
    client.start_orchestration("f-1", "commands.fails")
    process = start("inspect", "f-1", "--watch", "--json")
    first = json.loads(process.stdout.readline())
    manage("worker", "--once")
    last = json.loads(process.stdout.read().splitlines()[-1])
    assert (first["runtime_status"], first["done"]) == ("Pending", False)
    assert (last["runtime_status"], last["done"], last["error"]["message"]) == ("Failed", True, "broken on purpose")
    assert process.wait(PATIENCE) == 1


@pytest.mark.parametrize("name", ["inspect", "start"])
def test_ctrl_c_ends_a_wait_with_130_and_no_traceback(start, name):
    client.start_orchestration("w-1", "commands.waits")
    if name == "inspect":
        process = start("inspect", "w-1", "--watch")
        process.stdout.readline()
    else:
        process = start("start", "commands.waits", "--id", "w-1", "--wait")
        process.stderr.readline()
        process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130
    assert process.stderr.read() == ""
    assert client.get_status("w-1").runtime_status == "Pending"


def test_a_terminal_is_redrawn_from_its_first_line_and_never_overfilled(durable, monkeypatch):
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((80, 10)))
    client.start_orchestration("f-1", "commands.fails")
    durable.run()
    out = Terminal()
    with pytest.raises(CommandError, match="Instance 'f-1' is Failed: ValueError: broken on purpose"):
        call_command("durable_inspect", "f-1", "--watch", "--history", "--no-color", stdout=out)
    drawn = out.getvalue()
    assert drawn.startswith("\x1b[2J\x1b[?7l\x1b[H")
    assert drawn.endswith("...\x1b[K\n\x1b[J\x1b[?7h")
    assert drawn.count("\n") == 9


def test_a_terminal_is_redrawn_while_nothing_changes(durable_db, monkeypatch):
    from . import workflows  # noqa: F401 - registers them

    client.start_orchestration("w-1", "commands.waits")
    monkeypatch.setattr("django_durable.management.commands.durable_inspect.TICK", timedelta(milliseconds=5))

    class Enough(Terminal):
        def write(self, text: str) -> int:
            if self.getvalue().count("\x1b[H") == 3:
                client.terminate_instance("w-1")
            return super().write(text)

    out = Enough()
    with pytest.raises(CommandError, match="Terminated"):
        call_command("durable_inspect", "w-1", "--watch", stdout=out)
    assert out.getvalue().count("\x1b[H") >= 4
