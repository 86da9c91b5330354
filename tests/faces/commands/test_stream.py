"""`durable_stream`: streams listed, read, followed, sent on, closed and trimmed."""

from __future__ import annotations

import json

import pytest

from django_durable.client import client


@pytest.fixture
def talk(durable) -> str:
    client.start_orchestration("talk", "commands.asks")
    durable.run()
    client.send_to_stream("talk", "words", "a", {"b": "\x1b[31m"}, None)
    return "talk"


def test_items_are_read_with_their_positions_and_nothing_a_terminal_would_obey(run, talk):
    found = run("stream", talk, "words")
    assert (found.code, found.lines) == (0, ['1  "a"', '2  {"b":"\\u001b[31m"}', "3  null"])
    assert run("stream", talk, "words", "--after", 1, "--limit", 1).lines == ['2  {"b":"\\u001b[31m"}']
    rows = [json.loads(line) for line in run("stream", talk, "words", "--json").lines]
    assert [(row["position"], row["value"]) for row in rows] == [(1, "a"), (2, {"b": "\x1b[31m"}), (3, None)]


def test_streams_are_listed(run, talk):
    client.close_stream(talk, "ended", "enough")
    assert [line.split() for line in run("stream", talk).lines] == [
        ["STREAM", "ITEMS", "FIRST", "LAST", "CLOSED", "REASON"],
        ["ended", "0", "1", "1", "yes", "enough"],
        ["words", "3", "1", "3", "no", "-"],
    ]
    assert [row["stream"] for row in run("stream", talk, "--json").json["results"]] == ["ended", "words"]


def test_items_are_sent_and_the_stream_is_closed(run, talk):
    assert run("stream", talk, "words", "--send", "7", "--send", '{"a": 1}').code == 0
    assert [each.value for each in client.read_stream(talk, "words", after=3).items] == [7, {"a": 1}]
    assert run("stream", talk, "words", "--close", "--reason", "enough").code == 0
    refused = run("stream", talk, "words", "--send", "8")
    assert (refused.code, "is closed: enough" in refused.err) == (1, True)
    ended = run("stream", talk, "words", "--after", "4")
    assert (ended.code, ended.lines, "is closed: enough" in ended.err) == (1, ['5  {"a":1}'], True)


def test_old_items_are_deleted_and_a_place_that_is_gone_is_told(run, talk):
    assert "2 items deleted, 3 is the first position that is left." in run("stream", talk, "words", "--keep", 1).out
    assert run("stream", talk, "words", "--trim-before", 9, "--json").json == {"first_position": 4, "items_deleted": 1}
    late = run("stream", talk, "words", "--after", 1)
    assert (late.code, "was trimmed" in late.err) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--follow",),
        ("--after", "1"),
        ("--send", "1"),
        ("words", "--reason", "x"),
        ("words", "--send", "{"),
        ("words", "--send", "1", "--close"),
        ("words", "--after", "-1"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_sent(run, talk, arguments):
    try:
        code = run("stream", talk, *arguments).code
    except SystemExit as ended:
        code = ended.code
    assert code != 0
    assert client.list_streams(talk)[0].items == 3


def test_a_stream_without_items_is_told(run, talk):
    found = run("stream", talk, "wrods")
    assert (found.code, found.out, found.err) == (0, "", "Stream 'wrods' of instance 'talk' has no items.\n")
    assert "has nothing after 3." in run("stream", talk, "words", "--after", 3).err


def test_an_instance_that_is_not_there_is_told(run, talk):
    for arguments in ((), ("words",), ("words", "--send", "1"), ("words", "--keep", "1")):
        assert "There is no instance 'nobody'" in run("stream", "nobody", *arguments).err


def test_what_comes_is_followed_to_the_end(start, environment):
    from django_durable.testing import Durable

    client.start_orchestration("talk", "commands.asks")
    harness = Durable()
    harness.run()
    harness.close()
    client.send_to_stream("talk", "words", "a")
    process = start("stream", "talk", "words", "--follow", "--json")
    assert json.loads(process.stdout.readline())["value"] == "a"
    for word in "bc":
        client.send_to_stream("talk", "words", word)
        assert json.loads(process.stdout.readline())["value"] == word
    client.close_stream("talk", "words")
    assert process.wait(60) == 0
