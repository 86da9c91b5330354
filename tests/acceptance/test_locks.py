"""Somebody else writes to the SQLite file for seconds: everybody waits, and nothing fails."""

from __future__ import annotations

import sqlite3
import time

import pytest

from .checks import check_nothing_left
from .own import recovery
from .stage import until
from .test_faults import check_many, start_many

pytestmark = pytest.mark.only_on("sqlite")

SECONDS = 7.0
"""Longer than what Python's sqlite3 waits for a lock by default, and than the workers' leases."""


@pytest.fixture
def other_writer():
    """A connection of somebody who knows nothing of workers."""
    from django.db import connection

    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    yield other
    other.close()


def test_workers_wait_while_somebody_else_writes_for_seconds(other_writer, workers, client, stage, effects):
    pair = [workers.start(LEASE=5), workers.start(LEASE=5)]
    for each in pair:
        each.wait_until_started()
    keys = start_many(client, 100)
    for part in (1, 2):
        stage.wait_for_runs(150 * part)
        other_writer.execute("BEGIN IMMEDIATE")
        free = time.monotonic() + SECONDS
        until(lambda: time.monotonic() >= free, "the lock to be held for long")  # noqa: B023 - called at once
        assert [each.process.poll() for each in pair] == [None, None]
        before = len(stage.runs())
        other_writer.execute("COMMIT")
        with recovery(f"the file locked for {SECONDS:.0f} s, from when it is free until activities run again"):
            stage.wait_for_runs(before + 1)
    check_many(client, keys, effects)
    check_nothing_left()
    assert [each.stop() for each in pair] == [0, 0]
