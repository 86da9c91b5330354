"""The database goes away for a moment: workers come back by themselves, and nothing is lost or doubled."""

from __future__ import annotations

import pytest

from .checks import check_finished, check_nothing_left, output_of

pytestmark = pytest.mark.only_on("postgresql")


def cut_connections() -> int:
    """End every connection to the test's database but the test's own. Returns: how many there were."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
            """
        )
        return int(cursor.fetchone()[0])


def test_a_worker_whose_connections_were_cut_goes_on(workers, client, stage):
    workers.expect("Traceback")
    worker = workers.start()
    client.start_orchestration("it", "acceptance.chain", {"steps": 3, "gate_at": 1})
    stage.wait_until_reached("gate")
    assert cut_connections() >= 2
    stage.open("gate")
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
    keys = [f"it-{number}" for number in range(80)]
    for number, key in enumerate(keys):
        client.start_orchestration(key, "acceptance.mixture", number)
    for _ in range(6):
        stage.wait_for_runs(len(stage.runs()) + 30)
        cut_connections()
    for number, key in enumerate(keys):
        assert output_of(client, key)[0] == number
    check_nothing_left()
    assert effects.objects.count() == 2 * len(keys)
    assert [each.process.poll() for each in pair] == [None, None], pair[0].log + pair[1].log
    assert [each.stop() for each in pair] == [0, 0]
