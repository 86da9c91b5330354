"""What every worker does now and then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.utils import timezone

from django_durable.models import Instance, Worker as WorkerRow
from django_durable.registry import Registry
from django_durable.store import workers
from django_durable.store.records import TagFilter
from django_durable.worker.instrumentation import Instrumentation
from django_durable.worker.maintenance import LONGEST_BACKOFF, OFTEN, SELDOM, Maintenance

from .support import USING, drained, start, status

pytestmark = pytest.mark.django_db
LEASE = timedelta(seconds=30)


@pytest.fixture
def registry() -> Registry:
    registry = Registry()

    @registry.orchestration("quick")
    def quick(ctx, value: Any = None):
        return 1

    return registry


@pytest.fixture
def maintain(registry: Registry) -> Callable[[datetime], None]:
    return Maintenance(registry, worker_id="w-1", lease=LEASE, instrumentation=Instrumentation("w-1"), using=USING)


def test_a_worker_that_was_silent_for_long_is_removed(maintain: Callable[[datetime], None]) -> None:
    now = timezone.now()
    workers.register("alive", TagFilter.ANY, 1, now, using=USING)
    workers.register("dead", TagFilter.ANY, 1, now - 4 * LEASE, using=USING)

    maintain(now)

    assert [row.worker_id for row in WorkerRow.objects.all()] == ["alive"]


def test_an_instance_is_resumed_by_a_worker_that_has_its_code(
    registry: Registry, maintain: Callable[[datetime], None]
) -> None:
    instance = start(registry, "quick")
    drained(Registry())
    assert status(instance) == "Blocked"

    maintain(timezone.now())

    assert status(instance) == "Pending"


def test_an_instance_that_blocks_again_is_resumed_less_and_less_often(
    registry: Registry, maintain: Callable[[datetime], None]
) -> None:
    instance, now = start(registry, "quick"), timezone.now()
    resumed = []
    for _ in range(400):
        drained(Registry())
        maintain(now)
        if status(instance) == "Pending":
            resumed.append(now)
        now += OFTEN

    pauses = [later - earlier for earlier, later in pairwise(resumed)]
    assert pauses == sorted(pauses)
    assert pauses[0] == OFTEN
    assert pauses[-1] == LONGEST_BACKOFF


def test_an_instance_blocked_for_another_reason_is_left_to_its_operator(
    registry: Registry, maintain: Callable[[datetime], None]
) -> None:
    instance = start(registry, "quick")
    drained(Registry())
    Instance.objects.update(blocked_reason='{"error_type": "django_durable.engine.errors.NondeterminismError"}')

    maintain(timezone.now())

    assert status(instance) == "Blocked"


def test_finished_instances_are_deleted_after_the_retention_time(
    registry: Registry, maintain: Callable[[datetime], None], settings: Any
) -> None:
    settings.DJANGO_DURABLE = {"RETENTION": timedelta(days=30)}
    start(registry, "quick")
    drained(registry)
    now = timezone.now()

    maintain(now)
    assert Instance.objects.count() == 1
    maintain(now + timedelta(days=31))
    assert not Instance.objects.exists()


def test_more_than_one_round_deletes_is_deleted_in_the_next_ones(
    registry: Registry, maintain: Callable[[datetime], None], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_durable.worker.maintenance.AT_ONCE", 2)
    settings.DJANGO_DURABLE = {"RETENTION": timedelta(days=30)}
    for _ in range(5):
        start(registry, "quick")
    drained(registry)
    later = timezone.now() + timedelta(days=31)

    left = []
    for _ in range(3):
        maintain(later)
        left.append(Instance.objects.count())
        later += timedelta(seconds=1)

    assert left == [3, 1, 0]


def test_nothing_is_deleted_without_a_retention_time(registry: Registry, maintain: Callable[[datetime], None]) -> None:
    start(registry, "quick")
    drained(registry)

    maintain(timezone.now() + 10_000 * SELDOM)

    assert Instance.objects.count() == 1
