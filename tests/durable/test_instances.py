"""Durable programs as instances of the project: any worker runs them, and events are stored."""

from __future__ import annotations

import asyncio

import pytest

from django_durable.client import Client
from django_durable.durable import PauseForEventException, make_durable, pause
from django_durable.durable.instances import InstanceBackend
from django_durable.engine.errors import InvalidArgument, OrchestrationFailed, WaitTimeout
from django_durable.registry import Registry
from django_durable.testing import Durable

pytestmark = pytest.mark.django_db(transaction=True)
registry = Registry()


async def greet(name: str) -> str:
    greeting = await pause("greeting", type=str)
    raise PauseForEventException("allow")
    return f"{greeting} {name}"


async def fails() -> None:
    raise LookupError("no such thing")


durable_greet = make_durable(greet, registry=registry)
durable_fails = make_durable(fails, registry=registry)


@pytest.fixture
def durable():
    harness = Durable(registry, hot_executions=0)
    yield harness
    harness.close()


@pytest.fixture
def backend(durable):
    return InstanceBackend(durable.client, timeout=0)


def run(program, backend, *args, instance_id="greet-1"):
    return asyncio.run(program.runtime(backend, instance_id).run(*args))


def test_a_program_pauses_and_goes_on_with_its_events(durable: Durable, backend: InstanceBackend):
    with pytest.raises(WaitTimeout, match="is Pending and has neither paused nor ended"):
        run(durable_greet, backend, "Ada")
    durable.run()
    with pytest.raises(PauseForEventException, match="greeting"):
        run(durable_greet, backend, "Ada")
    backend.publish_event("greet-1", "greeting", "hello")
    durable.run()
    with pytest.raises(PauseForEventException, match="allow"):
        run(durable_greet, backend)
    asyncio.run(backend.apublish_event("greet-1", "allow"))
    durable.run()
    assert run(durable_greet, backend) == "hello Ada"


def test_events_that_come_first_are_kept(durable: Durable, backend: InstanceBackend):
    durable_greet.start("Ada", instance_id="greet-1")
    backend.publish_event("greet-1", "allow")
    backend.publish_event("greet-1", "greeting", "hi")
    durable.run()
    assert run(durable_greet, backend) == "hi Ada"


def test_a_program_that_failed_raises(durable: Durable, backend: InstanceBackend):
    durable_fails.start(instance_id="greet-1")
    durable.run()
    with pytest.raises(OrchestrationFailed, match="no such thing"):
        run(durable_fails, backend)


def test_its_state_is_the_checkpoint_that_workers_write(durable: Durable, backend: InstanceBackend):
    assert asyncio.run(backend.load_state("greet-1")) is None
    durable_greet.start("Ada", instance_id="greet-1")
    assert asyncio.run(backend.load_state("greet-1")) is None
    durable.run()
    state = asyncio.run(backend.load_state("greet-1"))
    assert state is not None
    with pytest.raises(InvalidArgument, match="written by the turns of workers"):
        asyncio.run(backend.save_state("greet-1", state))


def test_programs_are_not_listed_among_what_can_be_started():
    assert registry.names == []
    assert registry.get_orchestration(f"{__name__}.greet").version == "1.0.0"


def test_a_client_of_another_registry_starts_it_by_name(durable: Durable, backend: InstanceBackend):
    Client(registry, clock=durable.clock.now).start_orchestration("greet-1", f"{__name__}.greet", "Ada")
    durable.run()
    asyncio.run(backend.wait_for_event("greet-1", "other"))
