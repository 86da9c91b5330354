"""The helpers that a project's own tests use."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from django_durable.registry import Registry
from django_durable.testing import Durable, FakeClock


@pytest.fixture
def registry() -> Registry:
    registry = Registry()

    @registry.activity("double")
    def double(number: int) -> int:
        return number * 2

    @registry.orchestration("reminders")
    def reminders(ctx, many: int):
        sent = []
        for _ in range(many):
            yield ctx.schedule_timer(timedelta(days=1))
            sent.append(ctx.now.isoformat())
        return sent

    @registry.orchestration("approval")
    def approval(ctx, number: int):
        approved = yield ctx.wait_for_event("approved")
        doubled = yield ctx.schedule_activity("double", number)
        return [approved, doubled]

    return registry


@pytest.fixture
def shop(db: None, registry: Registry) -> Iterator[Durable]:
    harness = Durable(registry)
    yield harness
    harness.close()


def test_it_runs_what_is_due_inside_the_test(shop: Durable) -> None:
    shop.client.start_orchestration("order-7", "approval", 21)
    shop.run()
    assert shop.client.get_status("order-7").runtime_status == "Running"

    shop.client.raise_event("order-7", "approved", "yes")
    shop.run()
    assert shop.client.get_status("order-7").output == ["yes", 42]


def test_moving_the_clock_runs_each_thing_at_its_own_time(shop: Durable) -> None:
    begun = shop.now()
    shop.client.start_orchestration("r", "reminders", 3)
    shop.run()

    shop.advance(days=2, hours=1)
    assert shop.client.get_status("r").runtime_status == "Running"
    shop.advance(timedelta(days=1))

    moments = [datetime.fromisoformat(each) for each in shop.client.get_status("r").output]
    assert [round((moment - begun) / timedelta(days=1), 2) for moment in moments] == [1, 2, 3]
    assert shop.now() - begun >= timedelta(days=3, hours=1)


def test_moving_the_clock_fires_a_timer_of_that_long_that_starts_with_it(shop: Durable) -> None:
    shop.client.start_orchestration("r", "reminders", 1)
    shop.advance(days=1)
    assert shop.client.get_status("r").runtime_status == "Completed"


def test_it_can_run_to_the_end_of_everything(shop: Durable) -> None:
    shop.client.start_orchestration("r", "reminders", 30)

    shop.run_to_the_end()

    assert len(shop.client.get_status("r").output) == 30


def test_a_restart_forgets_what_was_in_memory(shop: Durable) -> None:
    shop.client.start_orchestration("order-7", "approval", 21)
    shop.run()
    shop.restart()
    shop.client.raise_event("order-7", "approved", "yes")
    shop.run()

    assert shop.worker.metrics_snapshot()["cache_misses"] == 1
    assert shop.client.get_status("order-7").output == ["yes", 42]


def test_the_clock_ticks_and_can_be_moved_ahead_only() -> None:
    clock = FakeClock()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    before = clock.monotonic()

    clock.advance(timedelta(days=1))
    clock.advance_to(clock.now() - timedelta(hours=1))

    assert abs(clock.now() - datetime.now(UTC) - timedelta(days=1)) < timedelta(seconds=5)
    assert clock.monotonic() - before >= 86_400
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(timedelta(seconds=-1))


def test_the_plugin_is_importable_without_django_being_set_up() -> None:
    script = "import django_durable.testing.plugin; from django.conf import settings; assert not settings.configured"

    subprocess.run([sys.executable, "-c", script], check=True, env={"PATH": "", "PYTHONPATH": ":".join(sys.path)})
