"""Two workers under load, killed at whatever moment it is, again and again."""

from __future__ import annotations

import random

from .checks import check_finished, check_nothing_left, output_of

INSTANCES = 200
KILLS = 15
CHECKED = 40
"""Histories that are read and replayed."""


def test_nothing_is_lost_or_doubled_by_kills_at_any_moment(workers, client, stage, effects):
    keys = [f"it-{number}" for number in range(INSTANCES)]
    for number, key in enumerate(keys):
        client.start_orchestration(key, "acceptance.mixture", number)
    chance = random.Random(f"{KILLS} kills")
    alive = [workers.start(LEASE=1), workers.start(LEASE=1)]
    for _ in range(KILLS):
        following = workers.start(LEASE=1)
        stage.wait_for_runs(len(stage.runs()) + chance.randrange(40))
        alive.pop(chance.randrange(2)).kill()
        alive.append(following)
    many = [f"many{number}" for number in range(3)]
    for number, key in enumerate(keys):
        assert output_of(client, key) == [number, "first", *many, "async", "s0", "last"]
    check_nothing_left()
    for key in chance.sample(keys, CHECKED):
        check_finished(client, key)
    written = sorted(effects.objects.values_list("instance", "label"))
    assert written == sorted((key, label) for key in keys for label in ("first", "last"))
