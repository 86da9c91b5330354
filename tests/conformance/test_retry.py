"""Retrying what ended badly: from its last good point, or from an event that the operator chooses, in both styles.

`outside` is the world the activities depend on: what is in `outside.broken` fails. `RAN` counts what ran.
"""

from __future__ import annotations

from collections import Counter

import pytest

from django_durable import RetryPolicy
from django_durable.engine.states import RuntimeStatus
from django_durable.testing import assert_prefix_law, assert_replays


class Outside:
    """What activities meet: `broken` names those that fail, `ran` counts every one that was begun."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.ran: Counter[str] = Counter()

    def act(self, name: str) -> str:
        self.ran[name] += 1
        if name in self.broken:
            raise ConnectionError(f"{name} is down")
        return f"{name} done"


@pytest.fixture
def outside(registry):
    """Return the world of the `act` activity, which is registered."""
    world = Outside()

    @registry.activity("act", retry=RetryPolicy(max_attempts=2, backoff="none"))
    def act(name: str) -> str:
        return world.act(name)

    return world


@pytest.fixture(params=["gen", "aio"])
def style(request):
    return request.param


@pytest.fixture
def define(registry, style):
    """Register the half of a story that has the test's style, again where it is given a second time."""

    def register(name, gen, aio):
        registry._orchestrations.pop(name, None)
        return registry.orchestration(name)(gen if style == "gen" else aio)

    return register


@pytest.fixture
def failed(durable):
    """Start an instance, run it, and see it fail; return its id."""

    def make(definition, key="one", **arguments):
        durable.client.start_definition(definition, (), arguments, instance_id=key)
        durable.run()
        assert status(durable, key).runtime_status == RuntimeStatus.FAILED
        return key

    return make


def status(durable, key="one"):
    return durable.client.get_status(key)


def kinds(durable, key="one", number=None):
    return [event.kind for event in durable.client.read_execution_history(key, number)]


def output(durable, key="one"):
    """Return the output of an instance that completed, having replayed all its executions from every prefix."""
    found = status(durable, key)
    assert found.runtime_status == RuntimeStatus.COMPLETED, (found, kinds(durable, key))
    environment = durable.registry.environment
    for number in durable.client.list_executions(key)[-1:]:
        history = durable.client.read_execution_history(key, number)
        assert_replays(environment, history)
        assert_prefix_law(environment, history)
    return found.output


# Two activities in a row, of which the second fails.


def two_gen(ctx):
    first = yield ctx.schedule_activity("act", "a")
    second = yield ctx.schedule_activity("act", "b")
    return [first, second]


async def two_aio(ctx):
    return [await ctx.schedule_activity("act", "a"), await ctx.schedule_activity("act", "b")]


def test_a_failed_activity_is_tried_again_with_its_policy_and_nothing_else_is(durable, outside, define, failed):
    outside.broken = {"b"}
    key = failed(define("two", two_gen, two_aio))
    before = durable.client.read_execution_history(key)
    outside.broken.clear()

    assert durable.client.retry_instance(key) == 2
    assert status(durable).runtime_status == RuntimeStatus.RUNNING
    durable.run()

    assert output(durable) == ["a done", "b done"]
    assert outside.ran == {"a": 1, "b": 3}
    assert durable.client.read_execution_history(key, 1) == before
    assert durable.client.get_execution_info(key, 1).status == "Failed"
    copied = durable.client.read_execution_history(key, 2)[:4]
    assert copied == before[:4]
    assert kinds(durable)[4:] == ["OrchestrationRewound", "ActivityCompleted", "OrchestrationCompleted"]


def test_an_instance_may_be_retried_again_and_again(durable, outside, define, failed):
    outside.broken = {"b"}
    key = failed(define("two", two_gen, two_aio))
    for number in (2, 3, 4):
        assert durable.client.retry_instance(key) == number
        durable.run()
        assert status(durable).runtime_status == RuntimeStatus.FAILED
    outside.broken.clear()
    durable.client.retry_instance(key)
    durable.run()

    assert output(durable) == ["a done", "b done"]
    assert outside.ran["a"] == 1
    assert durable.client.list_executions(key) == [1, 2, 3, 4, 5]
