"""`durable_export`: histories that other code can replay."""

from __future__ import annotations

import json

import pytest

from django_durable.client.viewing import client
from django_durable.engine import transcript
from django_durable.management.commands.durable_export import file_name
from django_durable.models import HistoryEvent
from django_durable.testing import assert_prefix_law, assert_replays


@pytest.fixture
def instances(durable):
    client.start_orchestration("d-1", "commands.doubles", {"number": 1, "label": "grün"})
    client.start_orchestration("w/1 ä", "commands.waits")
    client.start_orchestration("c-1", "commands.counts", 2)
    durable.run()
    client.start_orchestration("new", "commands.old")


def test_exported_lines_are_the_histories(instances, run):
    result = run("export", "d-1", "w/1 ä")
    found = [transcript.load(json.loads(line)) for line in result.lines]
    assert found == [client.read_execution_history("d-1"), client.read_execution_history("w/1 ä")]
    assert result.err.strip() == "2 histories exported."
    for history in found:
        assert_replays(client.registry.environment, history)
        assert_prefix_law(client.registry.environment, history)


def test_each_execution_is_a_file_of_its_own(instances, run, tmp_path):
    directory = tmp_path / "made" / "here"
    result = run("export", "--all", "--every-execution", "--directory", directory)
    assert sorted(path.name for path in directory.iterdir()) == [
        "c-1-1.json",
        "c-1-2.json",
        "c-1-3.json",
        "d-1-1.json",
        "w%2F1%20%C3%A4-1.json",
    ]
    assert result.out == ""
    assert result.err.strip() == f"5 histories exported into {directory}; 1 instance had none yet."
    text = (directory / "c-1-2.json").read_text(encoding="utf-8")
    assert transcript.load(json.loads(text)) == client.read_execution_history("c-1", 2)


def test_the_current_execution_is_exported_unless_all_are_asked_for(instances, run):
    (line,) = run("export", "c-1").lines
    assert json.loads(json.loads(line)["events"][0]["data"])["execution"] == 3


def test_a_filter_chooses(instances, run):
    assert len(run("export", "--status", "Completed").lines) == 1
    assert len(run("export", "--all", "--limit", "3").lines) == 2  # The newest has no history yet.
    assert "Nothing is chosen" in run("export").err


def test_an_unknown_instance_is_told(instances, run):
    result = run("export", "d-1", "nobody")
    assert ("There is no instance 'nobody'" in result.err, result.code) == (True, 1)


@pytest.mark.parametrize("command", [["export", "d-1"], ["inspect", "d-1", "--history"]])
def test_a_damaged_history_is_told(instances, run, command):
    HistoryEvent.objects.filter(instance__instance_id="d-1", seq=2).update(kind="Nonsense")
    result = run(*command)
    assert "The history of 'd-1' is damaged: Unknown event kind 'Nonsense'" in result.err
    assert result.code == 1


def test_names_of_files_differ_where_ids_do_and_are_never_too_long():
    ids = ["a" * 512, "a" * 511 + "b", "ä" * 512, "../../etc/passwd", "a/b", "a%2Fb", "."]
    names = [file_name(each, 1) for each in ids]
    assert len(set(names)) == len(ids)
    assert all(len(name) < 255 and "/" not in name for name in names)
