"""What `--json` prints has the fields that the REST API answers with, and the same values."""

from __future__ import annotations

import pytest

from django_durable.api import shapes as rest
from django_durable.client.viewing import client
from django_durable.management import shapes

ALLOWED = {"payloads": True, "inspect": True}


@pytest.fixture
def instances(durable):
    """One that waits, with children; one that failed; one that completed; one that is suspended."""
    client.start_orchestration("family", "commands.parent")
    client.start_orchestration("f-1", "commands.fails")
    client.start_orchestration("d-1", "commands.doubles", {"number": 2, "label": "grün"})
    client.start_orchestration("w-1", "commands.waits")
    durable.run()
    client.suspend_instance("w-1")


def answered(shape, found):
    return shape(found, context=ALLOWED).data


NAMES = ("family", "family-child", "f-1", "d-1", "w-1")


@pytest.mark.parametrize("name", NAMES)
def test_statuses(instances, name):
    record = client.get_status_record(name)
    assert shapes.status(record) == answered(rest.Status, record)


@pytest.mark.parametrize("name", NAMES)
def test_instances(instances, name):
    info = client.get_instance_info(name)
    assert shapes.detail(info) == answered(rest.Detail, info)


def test_rows(instances):
    for found in client.list_instances().items:
        assert shapes.summary(found) == answered(rest.Summary, found)


@pytest.mark.parametrize("name", NAMES)
def test_executions(instances, name):
    found = client.get_execution_info(name)
    assert shapes.execution(found) == answered(rest.ExecutionDetail, found)


@pytest.mark.parametrize("name", NAMES)
def test_events(instances, name):
    for event in client.read_execution_history(name):
        row = {"seq": event.seq, "recorded_at": event.recorded_at, **event.fact.columns()._asdict()}
        assert shapes.event(event) == answered(rest.Event, row)


def test_workers(db):
    from datetime import UTC, datetime

    from django_durable.store import workers
    from django_durable.store.records import TagFilter

    workers.register("w-1", TagFilter.ANY, 4, datetime.now(UTC), using="default")
    (found,) = client.list_workers()
    assert shapes.worker(found) == answered(rest.WorkerShape, found)


def test_orchestrations(durable):
    for found in client.registry.orchestrations():
        assert set(shapes.orchestration(found, latest=True)) == set(rest.OrchestrationShape().fields)
