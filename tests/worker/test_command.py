"""`manage.py durable_worker`: its options, one process, several processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import translation

from django_durable.management.commands.durable_worker import command_line, tag_filter
from django_durable.models import Worker as WorkerRow
from django_durable.registry import Registry
from django_durable.store.records import TagFilter
from django_durable.worker.stopping import StopRequests
from django_durable.worker.supervisor import SUPERVISOR_VARIABLE, Supervisor, orphaned

from .support import PATIENCE, output, start, wait_until


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Stand in for the registry that the command runs."""
    registry = Registry()
    monkeypatch.setattr("django_durable.worker.worker.default_registry", registry)

    @registry.activity("double")
    def double(number: int) -> int:
        return number * 2

    @registry.orchestration("chain")
    def chain(ctx, steps: int):
        number = 1
        for _ in range(steps):
            number = yield ctx.schedule_activity("double", number)
        return number

    return registry


def test_once_runs_what_is_due_and_returns(durable_db: None, registry: Registry) -> None:
    started = [start(registry, "chain", 3) for _ in range(5)]

    call_command("durable_worker", "--once", "--concurrency", "2", "--worker-id", "w-1")

    assert [output(each) for each in started] == [8] * 5
    assert not WorkerRow.objects.exists()


def test_it_says_when_it_runs_and_when_it_has_stopped(durable_db: None, registry: Registry, capsys: Any) -> None:
    call_command("durable_worker", "--once", "--worker-id", "w-1")
    told = capsys.readouterr().out
    call_command("durable_worker", "--once", "--worker-id", "w-1", "--verbosity", "0")

    assert told.splitlines() == [
        "Worker w-1 runs on database 'default', 8 activities at a time.",
        "Worker w-1 has stopped.",
    ]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--concurrency", "0"], "concurrency is 0"),
        (["--processes", "0"], "--processes is 0"),
        (["--worker-id", "x" * 300], "worker_id is"),
        (["--tags", ","], "expected one or more"),
        (["--tags", "a,b,c,d,e,f"], "number of tags"),
        (["--database", "elsewhere"], "The database is 'elsewhere', expected an alias: default"),
        (["--database", ""], "The database is '', expected an alias"),
        (["--processes", "2", "--once"], "--once goes with a single process"),
        (["--processes", "2", "--reload"], "--reload goes with neither"),
    ],
)
def test_an_option_that_cannot_mean_anything_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("durable_worker", *arguments)


def test_a_database_that_is_none_is_refused_in_the_language_of_the_reader() -> None:
    with translation.override("de"), pytest.raises(CommandError, match="Die Datenbank ist „elsewhere“"):
        call_command("durable_worker", "--database", "elsewhere")


def test_missing_migrations_are_told(durable_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_durable.worker.worker.TABLES", {"django_durable_absent"})

    with pytest.raises(CommandError, match="Apply the migrations first"):
        call_command("durable_worker", "--no-reload")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("default", TagFilter.DEFAULT_ONLY),
        ("*", TagFilter.ANY),
        ("none", TagFilter.NONE),
        ("gpu, mail", TagFilter.tags(["gpu", "mail"])),
        ("default,gpu", TagFilter.default_and(["gpu"])),
    ],
)
def test_tags_say_which_activities_are_served(text: str, expected: TagFilter) -> None:
    assert tag_filter(text) == expected


def test_a_supervised_process_gets_the_options_of_its_supervisor() -> None:
    options: dict[str, Any] = {"tags": "default,gpu", "concurrency": 3, "database": None, "settings": "shop.settings"}

    line = command_line(options, "w-1")

    assert line[0] == sys.executable
    assert line[line.index("durable_worker") :] == [
        *["durable_worker", "--worker-id", "w-1", "--tags", "default,gpu", "--no-reload"],
        *["--concurrency", "3", "--settings", "shop.settings"],
    ]


def test_a_process_stops_in_good_order_at_the_first_signal(
    durable_db: None, database_environment: dict[str, str]
) -> None:
    line = [sys.executable, "-m", "django", "durable_worker", "--no-reload", "--worker-id", "w-1"]
    process = subprocess.Popen(line, env=database_environment)
    try:
        wait_until(WorkerRow.objects.exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()

    assert not WorkerRow.objects.exists()


def test_a_supervisor_restarts_what_dies_and_stops_what_lives(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_durable.worker.supervisor.SHORTEST_PAUSE", 0.0)
    # The first start dies; the second leaves a file and waits for its SIGTERM.
    script = (
        "import pathlib, signal, sys\n"
        "here = pathlib.Path(sys.argv[1])\n"
        "if not here.with_suffix('.died').exists():\n"
        "    here.with_suffix('.died').touch()\n"
        "    sys.exit(9)\n"
        "signal.signal(signal.SIGTERM, lambda *_: (here.with_suffix('.stopped').touch(), sys.exit(0)))\n"
        "here.touch()\n"
        "while True:\n"
        "    signal.pause()\n"
    )

    class UntilAllRun(StopRequests):
        @property
        def requested(self) -> bool:
            return all((tmp_path / str(number)).exists() for number in range(2))

    supervisor = Supervisor(2, lambda number: [sys.executable, "-c", script, str(tmp_path / str(number))])
    for slot in supervisor._slots:
        slot.pause = 0.0
    with UntilAllRun() as stop:
        supervisor.run(stop)

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{number}{suffix}" for number in range(2) for suffix in ("", ".died", ".stopped")
    ]


def test_a_process_notices_that_its_supervisor_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not orphaned()

    monkeypatch.setenv(SUPERVISOR_VARIABLE, str(os.getppid()))
    assert not orphaned()

    monkeypatch.setenv(SUPERVISOR_VARIABLE, "1")
    assert orphaned()


def test_signals_are_counted_and_wake_whoever_waits() -> None:
    second = threading.Event()
    with StopRequests(at_second=second.set) as stop:
        assert not stop.requested

        os.kill(os.getpid(), signal.SIGTERM)
        stop.wait(PATIENCE)
        assert (stop.requested, stop.forced) == (True, False)

        os.kill(os.getpid(), signal.SIGINT)
        assert stop.forced
        assert second.is_set()
