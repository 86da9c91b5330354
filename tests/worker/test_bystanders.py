"""A thousand instances that nobody can run cost those that can be run nothing: counted in statements, not in time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_durable.models import ActivityTask, Instance
from django_durable.registry import Registry
from django_durable.store.records import TagFilter
from django_durable.store.starts import NewInstance, insert_instances
from django_durable.testing.clock import FakeClock
from django_durable.worker.instrumentation import Instrumentation
from django_durable.worker.maintenance import AT_ONCE, Maintenance
from django_durable.worker.worker import Worker

from .support import USING, drained, output, start, status

pytestmark = pytest.mark.django_db

MANY = 1_000
LOOKS = 10
"""A slow machine looks at the clock, and then at what is due, a few times more."""


def block(name: str, number: int, version: str = "1.0.0") -> None:
    """Leave instances that are blocked because no worker has their orchestration."""
    before = Instance.objects.filter(runtime_status="Blocked").count()
    new = [
        NewInstance(
            instance_id=f"{name}-{version}-{each}", orchestration=name, version=version, input="5", seed=f"{each:032x}"
        )
        for each in range(number)
    ]
    insert_instances(connection, new, timezone.now(), notify=False)
    drained(Registry()).close()
    assert Instance.objects.filter(runtime_status="Blocked").count() == before + number


def maintenance(registry: Registry) -> Maintenance:
    return Maintenance(
        registry,
        worker_id="w-1",
        lease=timedelta(seconds=30),
        instrumentation=Instrumentation("w-1"),
        using=USING,
    )


def statements_of_a_chain(registry: Registry, clock: FakeClock) -> int:
    """Return how many statements a new worker needs for a chain of activities, upkeep included."""
    instance = start(registry, "chain", 5)
    worker, upkeep = Worker(registry, clock=clock), maintenance(registry)
    with CaptureQueriesContext(connection) as captured:
        worker.drain()
        upkeep(clock.now())
    worker.close()
    assert output(instance) == 32
    return len(captured)


@pytest.fixture
def clock(registry: Registry) -> FakeClock:
    """A clock; what a process does only once, it has done."""
    clock = FakeClock()
    statements_of_a_chain(registry, clock)
    return clock


def test_instances_without_code_cost_others_no_statements(registry: Registry, clock: FakeClock) -> None:
    alone = statements_of_a_chain(registry, clock)
    block("gone", MANY)
    assert statements_of_a_chain(registry, clock) <= alone + LOOKS


def test_instances_without_code_do_not_stand_before_those_whose_code_came_back(registry: Registry) -> None:
    block("gone", AT_ONCE + 1)
    block("chain", 1)
    assert status("chain-1.0.0-0") == "Blocked"
    maintenance(registry)(timezone.now())
    assert status("chain-1.0.0-0") == "Pending"


def test_instances_of_a_version_that_is_not_there_do_not_either(registry: Registry) -> None:
    block("chain", AT_ONCE + 1, version="2.0.0")
    block("chain", 1)
    maintenance(registry)(timezone.now())
    assert status("chain-1.0.0-0") == "Pending"
    assert Instance.objects.filter(runtime_status="Blocked").count() == AT_ONCE + 1


def test_activities_without_code_cost_others_no_statements_until_they_are_looked_at_again(
    registry: Registry, clock: FakeClock
) -> None:
    """Each is looked at once a minute, and is not in the way of others meanwhile."""
    alone = statements_of_a_chain(registry, clock)
    planning = Registry()

    @planning.activity("nowhere")
    def nowhere(number: int) -> int:
        return number

    @planning.orchestration("plans")
    def plans(ctx, width: int):
        yield ctx.all([ctx.schedule_activity("nowhere", each) for each in range(width)])

    start(planning, "plans", MANY)
    drained(planning, tags=TagFilter.NONE).close()
    clock.advance(timedelta(hours=1))
    drained(registry, clock).close()
    assert ActivityTask.objects.filter(visible_at__gt=clock.now()).count() == MANY
    assert statements_of_a_chain(registry, clock) <= alone + LOOKS
