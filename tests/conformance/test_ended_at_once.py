"""An instance that an operator ended without its code being asked has a history that still replays."""

from __future__ import annotations

from datetime import timedelta

import pytest

from django_durable.testing import assert_prefix_law, assert_replays
from tests.engine.support import in_style


@pytest.fixture
def changed() -> list[str]:
    """Return what makes the code another one than it was."""
    return []


@pytest.fixture(params=["generator", "async"])
def client(request, durable, registry, changed):
    def story(ctx):
        return (yield ctx.dequeue_event("another box" if changed else "box"))

    registry.orchestration("waits")(in_style(story, request.param))
    return durable.client


def check_replays(client, *kinds: str) -> None:
    history = client.read_execution_history("it")
    assert [event.kind for event in history] == list(kinds)
    assert assert_replays(client.registry.environment, history).outcome == history[-1].fact
    assert_prefix_law(client.registry.environment, history)


def test_terminated_before_its_first_turn(client):
    client.start_orchestration("it", "waits")
    client.terminate_instance("it")
    check_replays(client, "OrchestrationStarted", "OrchestrationTerminated")


def test_terminated_while_it_waits(client, durable):
    client.start_orchestration("it", "waits")
    durable.run()
    client.terminate_instance("it")
    check_replays(client, "OrchestrationStarted", "QueueSubscribed", "OrchestrationTerminated")


def test_canceled_before_its_delayed_start(client):
    client.start_orchestration("it", "waits", delay=timedelta(hours=1))
    client.cancel_instance("it")
    check_replays(client, "OrchestrationStarted", "OrchestrationCanceled")


def test_canceled_while_it_is_blocked(client, durable, changed):
    client.start_orchestration("it", "waits")
    durable.run()
    changed.append("yes")
    durable.restart()
    client.raise_event("it", "wakes it")
    durable.run()
    assert client.get_status("it").runtime_status == "Blocked"
    client.cancel_instance("it")
    changed.clear()
    check_replays(client, "OrchestrationStarted", "QueueSubscribed", "OrchestrationCanceled")
