"""The driver of the conformance suite: one worker without threads, inside the test's transaction, by a moved clock."""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path

import pytest

from django_durable.engine import transcript
from django_durable.registry import Registry
from django_durable.store.records import TagFilter
from django_durable.testing import Durable

from .activities import registry as suite_registry
from .retrying import Retrying

HISTORIES = Path(__file__).parent.parent / "histories"


class Run(Durable):
    """A `Durable` that names instances by itself and sees what an instance leaves behind."""

    def start(self, orchestration, **arguments) -> str:
        """Start a definition, or one by name with its first version; return the new instance's id."""
        self.started = getattr(self, "started", 0) + 1
        key = f"run-{self.started}"
        if isinstance(orchestration, str):
            self.client.start_orchestration(key, orchestration)
        else:
            self.client.start_definition(orchestration, (), arguments, instance_id=key)
        return key

    def drain(self) -> None:
        self.run()

    def kinds(self, key: str) -> list[str]:
        return [event.kind for event in self.client.read_execution_history(key)]

    def leftovers(self, key: str) -> dict[str, int]:
        """Return what is still stored to be done for an instance that has ended, by table."""
        from django_durable.models import ActivityTask, InboxMessage

        counts = {
            model.__name__: model.objects.filter(instance__instance_id=key).count()
            for model in (ActivityTask, InboxMessage)
        }
        return {name: count for name, count in counts.items() if count}

    def keep(self, history) -> None:
        """Write a history to `tests/histories/`, where the suite is told to record them anew."""
        if os.environ.get("DURABLE_RECORD_HISTORIES") and len(history) < 200:
            started = history[0].fact
            path = HISTORIES / f"{started.name}-{started.version}-{started.execution}.json"
            text = json.dumps(transcript.dump(history), indent=1)
            path.write_text(text.replace(f"{HISTORIES.parent.parent}/", "") + "\n")  # Tracebacks name files.


@pytest.fixture
def conformance_run(db):
    """Make `Run`s, closed at the end of the test."""
    runs = []

    def make(**options) -> Run:
        runs.append(Run(suite_registry, **{"tags": TagFilter.ANY, **options}))
        return runs[-1]

    yield make
    for each in runs:
        each.close()


@pytest.fixture(params=["gen", "aio", "stored"])
def style(request):
    """The style of a story: a generator, an `async def`, or that with checkpoints."""
    return request.param


@pytest.fixture(params=["gen", "aio"])
def told(request):
    """Return what tells a generator's code in one of the two styles: as it is, or as an `async def`."""
    return awaiting if request.param == "aio" else lambda code: code


def awaiting(code):
    """Return a generator's code as an `async def` with the same parameters."""

    async def story(*args, **kwargs):
        running, sent = code(*args, **kwargs), None
        while True:
            try:
                sent = await running.send(sent)
            except StopIteration as end:
                return end.value

    story.__signature__ = inspect.signature(code)
    return story


@pytest.fixture(params=["hot", "cold"])
def run(request, conformance_run):
    """A driver with a cache of live executions, or with one that holds nothing, so that every turn replays."""
    return conformance_run(hot_executions=1000 if request.param == "hot" else 0)


@pytest.fixture
def registry():
    """Return a registry that the test fills."""
    return Registry()


@pytest.fixture
def durable(db, registry):
    """Drive the instances of the test's own registry, by a moved clock, inside the test's transaction."""
    harness = Durable(registry, tags=TagFilter.ANY)
    yield harness
    harness.close()


@pytest.fixture(params=["generator", "async"])
def retrying(request, durable):
    """Return stories of either style to retry and fork; see `Retrying`."""
    return Retrying(durable, request.param)
