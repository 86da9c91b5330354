"""`kill -9` of a worker in the middle of its maintenance: what it deletes is gone whole or there whole."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from django_durable.models import ActivityTask, Instance
from django_durable.registry import Registry
from django_durable.store import workers
from django_durable.store.records import TagFilter
from django_durable.testing import Durable
from django_durable.testing.clock import StandingClock
from django_durable.testing.crashing import traces
from django_durable.worker.instrumentation import Instrumentation
from django_durable.worker.maintenance import Maintenance
from tests.properties.invariants import check_only

from .killing import killed_at
from .stories import MINUTE, registry

START = datetime(2030, 1, 1, tzinfo=UTC)
LATER = START + timedelta(days=2)
LEASE = timedelta(seconds=30)
USING = "default"
KEPT = {"waits", "young", "held up"}
OLD = {"chain", "family", "kv", "generations"}


@registry.orchestration("held up")
def held_up(ctx):
    """Ask for what nobody runs, an hour long."""
    activity = ctx.schedule_activity_with_retry("note", "x", {"total_timeout": 3_600_000}).with_tag("nobody")
    try:
        yield activity
    finally:
        yield ctx.wait_for_event("never")


@pytest.fixture(autouse=True)
def retention(settings) -> None:
    settings.DJANGO_DURABLE = {"RETENTION": timedelta(days=1)}


def prepare() -> None:
    """Finished ones with children, KV and executions, too old and young; one without its code; a task out of time."""
    durable = Durable(registry, clock=StandingClock(START), tags=TagFilter.DEFAULT_ONLY)
    client = durable.client
    for key, name in (("chain", "chain"), ("family", "children"), ("kv", "kv"), ("generations", "continue-as-new")):
        client.start_orchestration(key, f"{name}.generator")
    client.raise_event("generations", "early", 1)
    client.start_orchestration("waits", "waits")
    client.start_orchestration("held up", "held up")
    durable.run()
    client.enqueue_event("waits", "box", 1)
    durable.advance(timedelta(days=1, hours=12))
    client.start_orchestration("young", "children.generator")
    durable.run()
    durable.close()
    without = Durable(Registry(), clock=StandingClock(LATER))
    without.client.raise_event("waits", "never")
    without.run()
    workers.register("silent", TagFilter.ANY, 1, START, using=USING)


def maintenance() -> Callable[[datetime], None]:
    return Maintenance(registry, worker_id="w", lease=LEASE, instrumentation=Instrumentation("w"), using=USING)


def roots() -> set[str]:
    return set(Instance.objects.filter(parent=None).values_list("instance_id", flat=True))


def test_maintenance_killed_at_any_boundary_leaves_nothing_half_done(groups, record_property):
    rows = traces.Rows(USING)
    prepare()
    assert roots() == KEPT | OLD
    assert ActivityTask.objects.count() == 1
    assert Instance.objects.get(instance_id="waits").runtime_status == "Blocked"
    kills = 0
    while killed_at(kills + 1, partial(maintenance(), LATER)):
        kills += 1
        assert roots() in (KEPT, KEPT | OLD)
        check_only(roots())
        if kills % 8 == 0 or roots() == KEPT:
            done(rows)
            prepare()
    done(rows)
    record_property("kills", kills)
    assert kills > 20


def done(rows: traces.Rows) -> None:
    """Let another worker do what is left of it."""
    maintenance()(LATER + MINUTE)
    assert roots() == KEPT
    check_only(KEPT)
    assert not ActivityTask.objects.exists()
    durable = Durable(registry, clock=StandingClock(LATER + MINUTE))
    durable.run()
    traces.check_whole(durable.client)
    assert durable.client.get_status("waits").runtime_status == "Completed"
    rows.restore()
