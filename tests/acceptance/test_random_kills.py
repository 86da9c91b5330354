"""Two workers under load, killed at whatever moment it is, again and again."""

from __future__ import annotations

import random

from .checks import check_finished

INSTANCES = 200
KILLS = 15


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
    for number, key in enumerate(keys):
        children = [f"many{each}" for each in range(3)]
        assert client.wait_for_output(key) == [number, "first", *children, "async", "s0", "last"]
    for key in keys:
        check_finished(client, key)
    written = sorted(effects.objects.values_list("instance", "label"))
    assert written == sorted((key, label) for key in keys for label in ("first", "last"))
