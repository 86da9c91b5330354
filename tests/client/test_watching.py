"""What faces poll: statuses as they are stored, and their changes by revision."""

from __future__ import annotations

from datetime import timedelta

import pytest

from django_durable.engine.errors import InstanceNotFound, WaitInsideTransaction

pytestmark = pytest.mark.django_db
MOMENT = timedelta(milliseconds=1)


@pytest.fixture
def waiting(client, durable) -> str:
    client.start_orchestration("order-7", "orders.waits")
    durable.run()
    return "order-7"


def test_a_status_record_is_one_query_and_needs_no_code(client, waiting, django_assert_num_queries):
    with django_assert_num_queries(1):
        record = client.get_status_record(waiting)

    assert (record.runtime_status, record.custom_status) == ("Running", '"waiting"')


def test_a_wait_for_another_revision_ends_at_once_where_there_is_one(client, waiting):
    seen = client.get_status_record(waiting).revision
    client.suspend_instance(waiting)

    assert client.wait_for_revision(waiting, seen, timedelta(seconds=20)).runtime_status == "Suspended"


def test_a_wait_for_a_revision_gives_what_is_there_when_its_time_is_over(client, waiting):
    seen = client.get_status_record(waiting)

    assert client.wait_for_revision(waiting, seen.revision, timedelta(0)) == seen
    with pytest.raises(WaitInsideTransaction):
        client.wait_for_revision(waiting, seen.revision, MOMENT)


def test_an_instance_that_ended_is_not_waited_for(client, durable):
    client.start_orchestration("order-7", "orders.fails")
    durable.run()
    seen = client.get_status_record("order-7")

    assert client.wait_for_revision("order-7", seen.revision, timedelta(seconds=20)) == seen


def test_a_kv_payload_is_text_or_none(client, waiting):
    assert client.get_kv_payload(waiting, "state") == '{"step":1}'
    assert client.get_kv_payload(waiting, "other") is None
    with pytest.raises(InstanceNotFound):
        client.get_kv_payload("nobody", "state")


def test_executions_are_outlined_without_payloads(client, waiting, django_assert_num_queries):
    record = client.get_status_record(waiting)

    with django_assert_num_queries(1):
        (only,) = client.outline_executions(record.id)

    assert (only.number, only.status, only.input.text) == (1, "Running", "")


def test_a_database_with_the_tables_is_reachable(client):
    assert client.is_reachable()
