"""The examples of durable-python run here with the import changed."""

from __future__ import annotations

import asyncio

import pytest

from django_durable.durable import (
    DiskStateStore,
    DurableBackend,
    DurableRuntime,
    InMemoryStateStore,
    OrchestrationBackend,
    PauseForEventException,
    make_durable,
)

said: list[str] = []


async def greet(name: str):
    said.append("waiting for permission to greet")
    raise PauseForEventException("allow")
    return f"hello {name}"


durable_greet = make_durable(greet)


@pytest.fixture(autouse=True)
def _nothing_said():
    said.clear()


def test_the_quick_start():
    async def main():
        backend = DurableBackend(InMemoryStateStore())

        async def run_once():
            try:
                return await durable_greet("Ada", orchestration_backend=backend, instance_id="greet-1")
            except PauseForEventException as e:
                said.append(f"paused for event {e.event}")

        await run_once()
        backend.publish_event("greet-1", "allow")
        return await durable_greet("Ada", orchestration_backend=backend, instance_id="greet-1")

    assert asyncio.run(main()) == "hello Ada"
    assert said == ["waiting for permission to greet", "paused for event allow"]


class CustomBackend(OrchestrationBackend):
    def __init__(self) -> None:
        self.states: dict[str, dict] = {}
        self.waited: list[str] = []

    async def load_state(self, instance_id: str) -> dict | None:
        return self.states.get(instance_id)

    async def save_state(self, instance_id: str, state: dict) -> None:
        self.states[instance_id] = state

    async def wait_for_event(self, instance_id: str, event_name: str) -> None:
        self.waited.append(f"{instance_id}: {event_name}")


def test_a_custom_backend():
    async def main():
        backend = CustomBackend()
        with pytest.raises(PauseForEventException, match="allow"):
            await durable_greet("Ada", orchestration_backend=backend, instance_id="greet-1")
        runtime = DurableRuntime(durable_greet, backend, "greet-1")
        return await runtime.wait_for_event("allow"), backend.waited

    assert asyncio.run(main()) == ("hello Ada", ["greet-1: allow"])
    assert said == ["waiting for permission to greet"]


def test_a_state_on_disk_goes_on_in_another_process(tmp_path):
    async def begin():
        with pytest.raises(PauseForEventException):
            await durable_greet(
                "Ada", orchestration_backend=DurableBackend(DiskStateStore(tmp_path)), instance_id="../g"
            )

    async def go_on():
        backend = DurableBackend(DiskStateStore(tmp_path))
        backend.publish_event("../g", "allow")
        return await durable_greet("Ada", orchestration_backend=backend, instance_id="../g")

    asyncio.run(begin())
    assert asyncio.run(go_on()) == "hello Ada"
    assert [each.name for each in tmp_path.iterdir()] == ["%2E%2E%2Fg.json"]
