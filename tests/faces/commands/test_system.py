"""`durable_workflows`, `durable_workers`, `durable_health`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from django_durable.client.viewing import client
from django_durable.models import Instance, Worker
from django_durable.store import workers
from django_durable.store.records import TagFilter

HOUR = timedelta(hours=1)


@pytest.fixture
def worker(db):
    """The row of a worker that was heard of just now."""
    workers.register("w-1", TagFilter.default_and(["gpu"]), 4, datetime.now(UTC), using="default")


def checks(result) -> dict[str, bool]:
    return {each["name"]: each["ok"] for each in result.json["checks"]}


def test_what_is_registered_is_listed_with_its_parameters(durable, run):
    lines = run("workflows").lines
    row = next(line for line in lines if line.startswith("commands.doubles "))
    assert "(number: int, label: str = '')" in row
    assert row.endswith("Return twice a number.")
    assert [line.split()[1:3] for line in lines if line.startswith("commands.old")] == [
        ["1.0.0", "(old)"],
        ["2.0.0", "()"],
    ]
    assert any(line.startswith("commands.charge ") and "(order_id: int)" in line for line in lines)


def test_json_has_the_schemas(durable, run):
    data = run("workflows", "--json").json
    found = {(each["name"], each["version"]): each for each in data["results"]}
    doubles = found["commands.doubles", "1.0.0"]
    assert doubles["input_schema"]["properties"]["number"] == {"type": "integer"}
    assert [found["commands.old", version]["latest"] for version in ("1.0.0", "2.0.0")] == [False, True]
    assert "commands.charge" in [each["name"] for each in data["activities"]]


def test_workers_are_listed_with_their_state(worker, run):
    long_ago = datetime.now(UTC) - HOUR
    workers.register("w-2", TagFilter.ANY, 8, long_ago, using="default")
    Worker.objects.create(
        worker_id="w-3", host="h", pid=7, tags='{"any":false,"untagged":false,"tags":[]}', concurrency=1,
        started_at=long_ago, heartbeat_at=datetime.now(UTC), stopping=True,
    )  # fmt: skip
    rows = [line.split() for line in run("workers").lines[1:]]
    assert [(row[0], row[1], row[4]) for row in rows] == [
        ("w-1", "working", "default,gpu"),
        ("w-2", "silent", "*"),
        ("w-3", "stopping", "none"),
    ]
    assert [each["worker_id"] for each in run("workers", "--json").json["results"]] == ["w-1", "w-2", "w-3"]


def test_no_worker_is_told_and_no_error(db, run):
    result = run("workers")
    assert (result.out, result.code) == ("", 0)
    assert "Start one with durable_worker" in result.err


def test_a_system_that_works_is_well(worker, run):
    result = run("health", "--json")
    assert result.json["ok"] is True
    assert checks(result) == dict.fromkeys(
        ["database", "migrations", "workers", "turns", "activities", "blocked"], True
    )
    assert result.code == 0
    assert "workers     ok, 1 alive" in run("health").out


@pytest.mark.parametrize(
    ("change", "arguments", "ok"),
    [
        ({}, [], True),
        ({}, ["--min-workers", "2"], False),
        ({}, ["--this-host"], True),
        ({"host": "elsewhere"}, ["--this-host"], False),
        ({"stopping": True}, [], False),
        ({"stopping": True}, ["--min-workers", "0"], True),
        ({"heartbeat_at": datetime.now(UTC) - HOUR}, [], False),
        ({"heartbeat_at": datetime.now(UTC) - HOUR}, ["--max-heartbeat-age", "2h"], True),
    ],
)
def test_workers_count_when_they_were_heard_of_lately_and_go_on(worker, run, change, arguments, ok):
    Worker.objects.update(**change) if change else None
    result = run("health", "--json", *arguments)
    assert checks(result)["workers"] is ok
    assert result.code == (0 if ok else 1)
    assert result.err == ("" if ok else "CommandError: Not well: workers.")


def test_a_turn_that_nobody_takes_is_not_well(durable, worker, run):
    client.start_orchestration("a", "commands.old")
    assert checks(run("health", "--json"))["turns"] is True
    result = run("health", "--max-wait", "0s")
    assert "turns       not ok, turns wait since" in result.out
    assert (result.err, result.code) == ("CommandError: Not well: turns.", 1)


def test_an_activity_that_nobody_takes_is_not_well_and_its_tag_is_told(durable, worker, run):
    from django_durable import Registry
    from django_durable.testing import Durable

    registry = Registry()

    @registry.activity("tagged", tag="gpu")
    def tagged() -> None: ...

    @registry.orchestration("uses")
    def uses(ctx):
        yield ctx.schedule_activity(tagged)

    harness = Durable(registry)
    harness.client.start_orchestration("a", "uses")
    harness.run()
    harness.close()
    result = run("health", "--max-wait", "0s")
    assert "activities with tag 'gpu' wait since" in result.out
    assert result.err == "CommandError: Not well: activities."


def test_what_is_due_later_or_held_is_no_backlog(durable, worker, run):
    client.start_orchestration("timer", "commands.waits")
    client.start_orchestration("retry", "commands.charges", 1)
    client.start_orchestration("later", "commands.old", delay=3_600_000)
    client.start_orchestration("held", "commands.old")
    client.suspend_instance("held")
    durable.run()
    assert run("health", "--max-wait", "0s").code == 0


def test_blocked_instances_are_counted_and_limited_where_asked_for(durable, worker, run):
    client.start_orchestration("a", "commands.waits")
    durable.run()
    Instance.objects.update(runtime_status="Blocked", blocked_reason="{}")
    assert "blocked     ok, 1 instance" in run("health").out
    assert run("health", "--max-blocked", "1").code == 0
    result = run("health", "--max-blocked", "0")
    assert (result.err, result.code) == ("CommandError: Not well: blocked.", 1)


def test_probes_cost_few_queries(worker, run, django_assert_max_num_queries):
    with django_assert_max_num_queries(7):
        assert run("health").code == 0


def test_missing_migrations_are_named(worker, run, monkeypatch):
    monkeypatch.setattr(client, "list_unapplied_migrations", lambda: ["0001_initial"])
    result = run("health")
    assert "migrations  not ok, not applied: 0001_initial; run migrate" in result.out
    assert result.code == 1


def test_migrations_that_were_not_applied_are_found(db):
    from django.db.migrations.recorder import MigrationRecorder

    assert client.list_unapplied_migrations() == []
    MigrationRecorder.Migration.objects.filter(app="django_durable").delete()
    assert "0001_initial" in client.list_unapplied_migrations()


def test_a_database_that_does_not_answer_is_told_without_a_traceback(manage, tmp_path):
    nowhere = f"sqlite:///{tmp_path}/missing/db.sqlite3"
    result = manage("health", DURABLE_TEST_DATABASE=nowhere)
    assert result.out == "database  not ok, unable to open database file\n"
    assert (result.err, result.code) == ("CommandError: Not well: database.\n", 1)
    listed = manage("list", DURABLE_TEST_DATABASE=nowhere)
    assert listed.err.startswith("CommandError: The database answers: unable to open database file.")
    assert listed.code == 1
