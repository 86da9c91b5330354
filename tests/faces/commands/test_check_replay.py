"""`durable_check_replay`: which histories the code that is here does not fit, and that nothing is written."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_durable import Registry
from django_durable.client.viewing import client
from django_durable.management import replaying
from django_durable.models import HistoryEvent

SERIALLY = ("--processes", "1")


@pytest.fixture
def instances(durable):
    """Open and closed ones, two that have not run, and one that continued as new."""
    for number in range(3):
        client.start_orchestration(f"w-{number}", "commands.waits")
        client.start_orchestration(f"d-{number}", "commands.doubles", number)
    client.start_orchestration("c-1", "commands.counts", 2)
    durable.run()
    client.start_orchestration("new", "commands.doubles", 1)
    client.start_orchestration("later", "commands.old", delay=3_600_000)
    return durable


@pytest.fixture
def deploy(monkeypatch):
    """Put other code in the place of that which made the histories."""

    def deploy(registry: Registry) -> None:
        monkeypatch.setattr(client, "registry", registry)

    return deploy


def changed() -> Registry:
    """The code after a change: another activity first, and an orchestration that nobody has any more."""
    registry = Registry()

    @registry.activity("commands.charge")
    def charge(order_id: int) -> None: ...

    @registry.orchestration("commands.waits")
    def waits(ctx):
        ctx.set_custom_status("reserving")
        yield ctx.schedule_activity(charge, 1)

    @registry.orchestration("commands.doubles")
    def doubles(ctx, number: int, label: str = ""):
        ctx.set_custom_status("doubled")
        return 2 * number
        yield

    return registry


def found(result) -> dict[str, dict]:
    return {each["instance_id"]: each for each in result.json["results"]}


def test_code_that_has_not_changed_fits_everything(instances, run):
    result = run("check_replay", *SERIALLY)
    assert (result.out, result.err, result.code) == ("The code fits 6 histories.\n", "", 0)
    assert run("check_replay", *SERIALLY, "--closed", "2").out == "The code fits 8 histories.\n"
    assert run("check_replay", *SERIALLY, "--json").json == {"results": [], "ok": True, "checked": 6, "failed": 0}


def test_each_difference_is_told_with_its_event(instances, run, deploy):
    deploy(changed())
    result = run("check_replay", *SERIALLY, "--orchestration", "commands.waits")
    assert result.lines[:4] == [
        "w-2  commands.waits 1.0.0 Running",
        "  event 3",
        "    recorded   ActivityScheduled commands.reserve",
        "    requested  ActivityScheduled commands.charge",
    ]
    assert "The code does not fit 3 of 3 histories" in result.err
    assert result.code == 1


def test_json_has_every_difference(instances, run, deploy):
    deploy(changed())
    result = run("check_replay", *SERIALLY, "--json", "--show", "0")
    assert {name: each["code"] for name, each in found(result).items()} == {
        "w-0": "nondeterminism",
        "w-1": "nondeterminism",
        "w-2": "nondeterminism",
        "c-1": "not_registered",
        "later": "not_registered",
    }
    first = found(result)["w-0"]
    assert (first["seq"], first["execution_number"], first["runtime_status"]) == (3, 1, "Running")
    assert "commands.reserve" in first["recorded"]
    assert "commands.charge" in first["requested"]
    assert {"field": "name", "recorded": "'commands.reserve'", "requested": "'commands.charge'"} in first["differences"]
    assert {name: result.json[name] for name in ("ok", "checked", "failed")} == {
        "ok": False,
        "checked": 6,
        "failed": 5,
    }
    assert result.code == 1


def test_closed_instances_are_a_sample_of_the_newest(instances, run, deploy):
    deploy(changed())
    result = run("check_replay", *SERIALLY, "--json", "--closed", "2", "--orchestration", "commands.doubles")
    assert list(found(result)) == ["d-2", "d-1"]


def test_differences_beyond_those_shown_are_counted(instances, run, deploy):
    deploy(changed())
    result = run("check_replay", *SERIALLY, "--prefix", "w-", "--show", "1")
    assert result.lines[-1] == "and 2 more"
    assert sum(line.startswith("w-") for line in result.lines) == 1


def test_nothing_is_written(instances, run, deploy):
    deploy(changed())
    with CaptureQueriesContext(
        connection,
    ) as queries:
        run("check_replay", *SERIALLY, "--closed", "9")
    assert queries.captured_queries
    assert all(each["sql"].lstrip().startswith("SELECT") for each in queries.captured_queries)


def test_instances_that_are_blocked_already_may_be_left_out(instances, run, deploy):
    deploy(changed())
    instances.registry = changed()
    instances.restart()
    client.raise_event("w-1", "go")
    instances.run()
    assert client.get_status_record("w-1").runtime_status == "Blocked"
    assert list(found(run("check_replay", *SERIALLY, "--json", "--prefix", "w-"))) == ["w-2", "w-1", "w-0"]
    assert list(found(run("check_replay", *SERIALLY, "--json", "--prefix", "w-", "--skip-blocked"))) == ["w-2", "w-0"]


def test_exported_histories_are_replayed_one_in_a_file_or_one_a_line(instances, run, deploy, tmp_path):
    lines = run("export", "w-0", "d-0").out
    run("export", "w-1", "--directory", tmp_path)
    (tmp_path / "two.jsonl").write_text(lines, encoding="utf-8")
    files = [str(tmp_path / "w-1-1.json"), str(tmp_path / "two.jsonl")]
    assert run("check_replay", *SERIALLY, *files).out == "The code fits 3 histories.\n"
    assert run("check_replay", *SERIALLY, "-", stdin=lines).out == "The code fits 2 histories.\n"
    deploy(changed())
    sources = [each["source"] for each in run("check_replay", *SERIALLY, *files, "--json").json["results"]]
    assert sources == [files[0], f"{files[1]}:1", f"{files[1]}:2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "Expected an object with format 'django_durable history 1'"),
        ("[]", "Expected an object with format"),
        ("nonsense", "No exported history"),
        ("", "No exported history"),
        ('{"format": "django_durable history 1", "events": []}', "does not begin with the start"),
        ('{"format": "django_durable history 1", "events": [{"seq": 1}]}', "Event 1 is not one"),
    ],
)
def test_what_is_no_history_is_told_with_its_file(db, run, tmp_path, text, message):
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    result = run("check_replay", *SERIALLY, path)
    assert result.lines[0].startswith(str(path))
    assert message in result.lines[1]
    assert result.code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/nowhere/x.json"], "/nowhere/x.json cannot be read"),
        (["x.json", "--closed", "3"], "Filters are for the database"),
        (["x.json", "--prefix", "a"], "Filters are for the database"),
        (["--processes", "0"], "no whole number of at least 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(db, run, arguments, message):
    result = run("check_replay", *arguments)
    assert (message in result.err, result.code) == (True, 1)


def test_nothing_to_replay_is_told_and_fits(db, run):
    result = run("check_replay")
    assert (result.out, result.code) == ("There is nothing to replay.\n", 0)


def test_a_damaged_history_is_told_and_hides_no_other(instances, run):
    HistoryEvent.objects.filter(instance__instance_id="w-1", seq=3).update(kind="Nonsense")
    result = run("check_replay", *SERIALLY, "--json")
    assert {name: each["code"] for name, each in found(result).items()} == {"w-1": "damaged"}
    assert "Unknown event kind 'Nonsense'" in found(result)["w-1"]["detail"]
    assert result.json["checked"] == 6


def test_histories_are_read_many_at_a_time(instances, run, django_assert_num_queries):
    with django_assert_num_queries(2):
        assert run("check_replay", *SERIALLY).code == 0


def test_long_histories_are_handed_out_in_smaller_chunks(instances, run, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(replaying, "CHUNK_EVENTS", 8)
    with django_assert_num_queries(4):
        assert run("check_replay", *SERIALLY).code == 0


@pytest.mark.only_on("postgresql")
def test_a_role_that_may_only_read_is_enough(manage):
    client.start_orchestration("w-1", "commands.waits")
    assert manage("worker", "--once").code == 0
    read_only = {"PGOPTIONS": "-c default_transaction_read_only=on"}
    assert "read-only" in manage("suspend", "w-1", **read_only).err
    assert manage("check_replay", "--processes", "1", **read_only).out == "The code fits 1 history.\n"
    assert manage("export", "w-1", **read_only).code == 0


def test_several_processes_find_what_one_finds(manage):
    from django_durable.testing import Durable

    harness = Durable()
    number_of = 3 * replaying.CHUNK
    for number in range(number_of):
        client.start_orchestration(f"w-{number}", "commands.waits")
    harness.run()
    harness.close()
    fits = manage("check_replay", "--processes", "2")
    assert (fits.out, fits.err, fits.code) == (f"The code fits {number_of} histories.\n", "", 0)
    result = manage("check_replay", "--processes", "2", "--json", COMMANDS_CHANGED="yes")
    assert result.code == 1
    assert json.loads(result.out)["failed"] == number_of
    assert set(found(result)) == {f"w-{number}" for number in range(number_of)}
    assert {each["seq"] for each in found(result).values()} == {3}


def test_a_process_that_dies_is_told(manage):
    for number in range(2 * replaying.CHUNK):
        client.start_orchestration(f"w-{number}", "commands.waits")
    result = manage("check_replay", "--processes", "2", COMMANDS_DIES="yes")
    assert result.err == "CommandError: A process that replays has died. Try with --processes 1 to see why.\n"
    assert result.code == 1
