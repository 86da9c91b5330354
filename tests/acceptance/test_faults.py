"""The database goes away for a moment: workers come back by themselves, and nothing is lost or doubled."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from .checks import check_finished, check_nothing_left, output_of
from .own import recovery
from .stage import until

pytestmark = pytest.mark.only_on("postgresql")

OTHERS = "datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
LISTENING = "application_name = 'django_durable hints'"


def query(statement: str) -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement)
        return int(cursor.fetchone()[0])


def cut_connections(which: str = OTHERS) -> int:
    """End connections to the test's database, by default all but the test's own. Returns: how many there were."""
    return query(f"SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {which}")


def start_many(client, number: int) -> list[str]:
    keys = [f"it-{each}" for each in range(number)]
    for each, key in enumerate(keys):
        client.start_orchestration(key, "acceptance.mixture", each)
    return keys


def check_many(client, keys: list[str], effects) -> None:
    """Wait until all have ended, and check that nothing was lost, doubled or left over."""
    for number, key in enumerate(keys):
        assert output_of(client, key)[0] == number
    check_nothing_left()
    assert effects.objects.count() == 2 * len(keys)


def test_a_worker_whose_connections_were_cut_goes_on(workers, client, stage):
    workers.expect("Traceback")
    worker = workers.start()
    client.start_orchestration("it", "acceptance.chain", {"steps": 3, "gate_at": 1})
    stage.wait_until_reached("gate")
    assert cut_connections() >= 2
    stage.open("gate")
    with recovery("every connection of a worker cut, until its instance has ended"):
        assert output_of(client, "it") == ["s0", "s1", "s2"]
    check_finished(client, "it")
    assert stage.counts("it") == {"s0": 1, "s1": 1, "s2": 1}
    client.start_orchestration("next", "acceptance.chain", 1)
    assert output_of(client, "next") == ["s0"]
    assert worker.stop() == 0


def test_cuts_at_any_moment_lose_and_double_nothing(workers, client, stage, effects):
    workers.expect("Traceback")
    pair = [workers.start(LEASE=2), workers.start(LEASE=2)]
    for each in pair:
        each.wait_until_started()
    keys = start_many(client, 80)
    for _ in range(6):
        stage.wait_for_runs(len(stage.runs()) + 30)
        cut_connections()
    check_many(client, keys, effects)
    assert [each.process.poll() for each in pair] == [None, None], pair[0].log + pair[1].log
    assert [each.stop() for each in pair] == [0, 0]


def test_a_worker_whose_listening_connection_was_cut_listens_again_and_missed_nothing(workers, client):
    worker = workers.start()
    client.start_orchestration("it", "acceptance.chain", 1)
    assert output_of(client, "it") == ["s0"]
    mine = f"datname = current_database() AND {LISTENING}"
    until(lambda: query(f"SELECT COUNT(*) FROM pg_stat_activity WHERE {mine}") >= 1, "the worker to listen")
    assert cut_connections(mine) >= 1
    with recovery("the listening connection cut, until a start in that moment has ended"):
        client.start_orchestration("next", "acceptance.chain", 1)
        assert output_of(client, "next") == ["s0"]
    until(lambda: query(f"SELECT COUNT(*) FROM pg_stat_activity WHERE {mine}") >= 1, "the worker to listen again")
    assert worker.stop() == 0
    assert "The database failed" not in worker.log


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_of_the_server_under_load_loses_and_doubles_nothing(
    mode, server, own_workers, client, stage, own_effects
):
    """`immediate` is a crash: the server recovers from its log; a commit may be made and its answer lost."""
    from django.db import connection

    own_workers.expect("Traceback")
    pair = [own_workers.start(LEASE=5), own_workers.start(LEASE=5)]
    keys = start_many(client, 80)
    for part in (1, 2):
        stage.wait_for_runs(150 * part)
        server.shut_down(mode)
        for each in pair:
            until(lambda: each.log.count("The database failed") >= part, "the worker to notice")  # noqa: B023
        server.start_again()
        before = len(stage.runs())
        with recovery(f"server shut down ({mode}), from when it is up until activities run again"):
            stage.wait_for_runs(before + 1)
        connection.close()
    check_many(client, keys, own_effects)
    assert [each.process.poll() for each in pair] == [None, None], pair[0].log + pair[1].log
    assert [each.stop() for each in pair] == [0, 0]


def test_a_worker_that_finds_no_free_connection_waits_for_one(server, own_workers, client, stage, own_effects):
    """Somebody takes every connection that the server allows, those of the worker included."""
    import psycopg

    own_workers.expect("Traceback")
    worker = own_workers.start(LEASE=5)
    keys = start_many(client, 40)
    stage.wait_for_runs(60)
    with ExitStack() as stack:

        def take_all() -> bool:
            cut_connections(f"{OTHERS} AND application_name <> 'greedy'")
            try:
                while True:
                    url = f"{server.url}&application_name=greedy"
                    stack.callback(psycopg.connect(url, autocommit=True).close)
            except psycopg.OperationalError:
                return "too many clients" in worker.log and nobody_else()

        until(take_all, "the worker to find no connection")
    before = len(stage.runs())
    with recovery("no connection free, from when there is until activities run again"):
        stage.wait_for_runs(before + 1)
    check_many(client, keys, own_effects)
    assert worker.process.poll() is None, worker.log
    assert worker.stop() == 0


def nobody_else() -> bool:
    """Tell whether no connection but the greedy ones and the test's is there."""
    return query(f"SELECT COUNT(*) FROM pg_stat_activity WHERE {OTHERS} AND application_name <> 'greedy'") == 0
