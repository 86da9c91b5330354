"""`durable_list`: pages, filters, forms."""

from __future__ import annotations

import io

import pytest
from django.core.management import call_command

from django_durable.client.viewing import client
from django_durable.management import paging


@pytest.fixture
def instances(durable):
    for number in range(5):
        client.start_orchestration(f"d-{number}", "commands.doubles", number)
    client.start_orchestration("f-1", "commands.fails")
    durable.run()
    client.start_orchestration("family", "commands.parent")
    durable.run()


def ids(result):
    return [line.split()[0] for line in result.lines[1:]]


def test_instances_are_listed_newest_first_in_columns(instances, run):
    result = run("list")
    assert ids(result) == ["family-child", "family", "f-1", *(f"d-{number}" for number in reversed(range(5)))]
    assert result.err == ""
    assert len({line.index("commands.") for line in result.lines[1:]}) == 1
    assert "Failed" in result.lines[3]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--status", "failed"], ["f-1"]),
        (["--status", "failed,running"], ["family-child", "family", "f-1"]),
        (["--status", "Failed", "-s", "Running"], ["family-child", "family", "f-1"]),
        (["--orchestration", "commands.fails"], ["f-1"]),
        (["--version", "9.9"], []),
        (["--prefix", "fam"], ["family-child", "family"]),
        (["--parent", "family"], ["family-child"]),
        (["--children"], ["family-child"]),
        (["--roots", "--prefix", "fam"], ["family"]),
        (["--created-after", "1h", "--prefix", "f-"], ["f-1"]),
        (["--created-before", "1h"], []),
        (["--created-before", "2030-01-01", "--prefix", "f-"], ["f-1"]),
        (["--completed-after", "1h", "--prefix", "f"], ["f-1"]),
        (["--completed-before", "2020-05-01T12:00:00Z"], []),
    ],
)
def test_filters_let_through_what_they_say(instances, run, arguments, expected):
    assert run("list", "--ids", *arguments).lines == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--status", "Faild"], "There is no status 'Faild'"),
        (["--limit", "0"], "no whole number from 1 to 10,000"),
        (["--cursor", "x"], "The cursor is 'x'"),
        (["--created-after", "yesterday"], "'yesterday' is no moment"),
        (["--limit", "5", "--all"], "not allowed with argument"),
    ],
)
def test_an_option_that_cannot_mean_anything_is_refused(db, run, arguments, message):
    result = run("list", *arguments)
    assert message in result.err
    assert result.code == 1


def test_pages_follow_each_other_by_their_cursors(instances, run):
    first = run("list", "--ids", "--limit", "3")
    cursor = first.err.split("--cursor ")[1].split(",")[0]
    second = run("list", "--ids", "--limit", "5", "--cursor", cursor)
    assert first.lines + second.lines == run("list", "--ids").lines
    assert second.err == ""


def test_json_is_one_object_with_an_instance_a_line(instances, run):
    result = run("list", "--json", "--limit", "2")
    assert [each["instance_id"] for each in result.json["results"]] == ["family-child", "family"]
    assert result.json["next_cursor"].isdecimal()
    assert len(result.lines) == 4
    assert run("list", "--json", "--status", "Blocked").json == {"results": [], "next_cursor": None}


def test_all_are_written_as_they_come_and_none_is_kept(instances, run, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(paging, "SIZE", 2)
    read: list[int] = []

    class Out(io.StringIO):
        def write(self, text: str) -> int:
            if text.startswith(("d-", "f")):
                read.append(len(reads))
            return super().write(text)

    reads: list[object] = []
    list_instances = client.list_instances
    monkeypatch.setattr(client, "list_instances", lambda *a, **k: reads.append(a) or list_instances(*a, **k))
    with django_assert_num_queries(4):
        call_command("durable_list", "--ids", "--all", stdout=Out())
    assert read == [1, 1, 2, 2, 3, 3, 4, 4]


def test_what_a_terminal_would_obey_is_escaped(durable, run):
    client.start_orchestration("d-1", "commands.doubles", {"number": 1, "label": "\x1b[2J\u202e"})
    durable.run()
    text = run("inspect", "d-1", "--full", "--history").out
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_a_reader_that_goes_away_is_no_error(start):
    for number in range(150):  # More than a pipe holds.
        client.start_orchestration(f"{number}-" + "x" * 480, "commands.doubles", 1)
    process = start("list", "--json", "--all")
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 141
