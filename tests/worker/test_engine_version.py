"""An execution that a newer release of the engine began is parked, and goes on once the worker is updated."""

from __future__ import annotations

import pytest

from django_durable.engine import replay
from django_durable.registry import Registry
from django_durable.store import starts
from django_durable.testing import Durable

pytestmark = pytest.mark.django_db(transaction=True)
NEWER = replay.ENGINE_VERSION + 1


def test_a_worker_of_an_older_release_parks_it_until_it_is_updated(monkeypatch):
    registry = Registry()

    @registry.orchestration("waits")
    def waits(ctx):
        return (yield ctx.wait_for_event("go"))

    durable = Durable(registry, hot_executions=0)
    monkeypatch.setattr(starts, "ENGINE_VERSION", NEWER)
    durable.client.start_orchestration("it", "waits")
    durable.run()
    found = durable.client.get_instance_info("it")
    assert found.runtime_status == "Blocked"
    assert f"engine version {NEWER}" in str(found)

    monkeypatch.setattr(replay, "ENGINE_VERSION", NEWER)
    durable.client.resume_instance("it")
    durable.client.raise_event("it", "go", 1)
    durable.run()
    assert durable.client.get_output("it") == 1
    durable.close()
