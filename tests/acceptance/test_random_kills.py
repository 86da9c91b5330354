"""Three workers under load, killed at whatever moment it is, again and again; `make crashes` does it by hundreds."""

from __future__ import annotations

import os
import random
import time

import pytest

from .checks import check_finished, check_nothing_left, output_of

INSTANCES, KILLS = (1500, 300) if os.environ.get("DURABLE_CRASHES") == "all" else (200, 24)
WORKERS = 3
CHECKED = 40
"""Histories that are read and replayed."""


@pytest.mark.timeout(1800)
def test_nothing_is_lost_or_doubled_by_kills_at_any_moment(workers, client, stage, effects, record_property):
    started = time.monotonic()
    keys = [f"it-{number}" for number in range(INSTANCES)]
    for number, key in enumerate(keys):
        client.start_orchestration(key, "acceptance.mixture", number)
    chance = random.Random(f"{KILLS} kills")
    alive = [workers.start(LEASE=1) for _ in range(WORKERS)]
    for _ in range(KILLS):
        following = workers.start(LEASE=1)
        stage.wait_for_runs(stage.run_count() + chance.randrange(40))
        alive.pop(chance.randrange(WORKERS)).kill()
        alive.append(following)
    many = [f"many{number}" for number in range(3)]
    for number, key in enumerate(keys):
        assert output_of(client, key) == [number, "first", *many, "async", "s0", "last"]
    record_property("kills", KILLS)
    record_property("seconds", time.monotonic() - started)
    check_nothing_left()
    for key in chance.sample(keys, CHECKED):
        check_finished(client, key)
    written = sorted(effects.objects.values_list("instance", "label"))
    assert written == sorted((key, label) for key in keys for label in ("first", "last"))
