"""Status, output, KV entries: what a caller gets to see, and as what."""

from __future__ import annotations

from decimal import Decimal

import pytest

from django_durable import Registry
from django_durable.client import Client
from django_durable.engine.errors import (
    IllegalTransition,
    InstanceNotFound,
    InvalidArgument,
    OrchestrationFailed,
    PayloadError,
)
from django_durable.engine.states import RuntimeStatus

from .orders import Receipt

pytestmark = pytest.mark.django_db


def test_get_status_is_one_query_and_decodes_the_output_by_its_hint(client, durable, django_assert_num_queries):
    client.start_orchestration("order-7", "orders.checkout", 7)
    durable.run()
    with django_assert_num_queries(1):
        status = client.get_status("order-7")
    assert status.output == Receipt(7, Decimal("9.90"))
    assert (status.runtime_status, status.finished, status.error) == (RuntimeStatus.COMPLETED, True, None)
    assert status.created_at <= status.started_at <= status.completed_at == status.updated_at


def test_an_output_is_plain_json_where_the_orchestration_is_not_registered(client, durable):
    client.start_orchestration("order-7", "orders.checkout", 7)
    durable.run()
    assert Client(Registry()).get_status("order-7").output == {"order_id": 7, "total": "9.90"}


def test_an_output_that_no_longer_fits_its_hint_is_an_error_and_its_text_can_still_be_read(client, durable):
    client.start_orchestration("order-7", "orders.checkout", 7)
    durable.run()
    changed = Registry()

    @changed.orchestration("orders.checkout", version="1.1.0")
    def checkout(ctx) -> int: ...

    with pytest.raises(PayloadError):
        Client(changed).get_status("order-7")
    assert Client(changed).get_instance_info("order-7").output == '{"order_id":7,"total":"9.90"}'


def test_a_status_before_the_end_has_what_the_code_published(client, durable):
    client.start_orchestration("order-7", "orders.waits")
    pending = client.get_status("order-7")
    assert (pending.runtime_status, pending.custom_status, pending.started_at) == ("Pending", None, None)
    durable.run()
    status = client.get_status("order-7")
    assert (status.runtime_status, status.custom_status, status.custom_status_version) == ("Running", "waiting", 1)
    assert (status.output, status.error, status.finished) == (None, None, False)
    assert status.revision > pending.revision


def test_the_output_of_an_instance_that_did_not_complete_raises_why(client, durable):
    client.start_orchestration("failed", "orders.fails")
    client.start_orchestration("canceled", "orders.waits")
    client.start_orchestration("terminated", "orders.waits")
    durable.run()
    client.cancel_instance("canceled", "customer left")
    client.terminate_instance("terminated", "wrong one")
    durable.run()
    texts = {
        "failed": "Instance 'failed' failed: ValueError: broken on purpose",
        "canceled": "Instance 'canceled' failed: CancelledError",
        "terminated": "Instance 'terminated' failed: Terminated: The instance was terminated: wrong one",
    }
    for instance_id, text in texts.items():
        with pytest.raises(OrchestrationFailed, match=text):
            client.get_output(instance_id)
        assert client.get_status(instance_id).error is not None


def test_the_output_of_an_instance_that_goes_on_is_refused(client):
    client.start_orchestration("order-7", "orders.waits")
    with pytest.raises(IllegalTransition, match=r"it is Pending.*wait_for_output"):
        client.get_output("order-7")


def test_kv_entries_are_decoded_plainly_or_as_a_type(client, durable, django_assert_num_queries):
    client.start_orchestration("order-7", "orders.waits")
    client.raise_event("order-7", "go")
    durable.run()
    with django_assert_num_queries(1):
        assert client.get_kv_value("order-7", "state") == {"step": 1}
    assert client.get_kv_value_typed("order-7", "receipt", Receipt) == Receipt(7, Decimal("1.50"))
    assert client.get_kv_value("order-7", "missing") is None
    assert client.get_kv_all_values("order-7") == {
        "receipt": {"order_id": 7, "total": "1.50"},
        "state": {"step": 1},
    }
    with pytest.raises(PayloadError):
        client.get_kv_value_typed("order-7", "state", Receipt)


@pytest.mark.parametrize(
    "read", ["get_status", "get_output", "get_kv_all_values", "get_instance_info", "get_instance_tree",
             "list_executions", "get_execution_info", "read_execution_history", "get_orchestration_stats"],
)  # fmt: skip
def test_an_unknown_id_raises_and_an_impossible_one_is_refused(client, read):
    with pytest.raises(InstanceNotFound):
        getattr(client, read)("nobody")
    for impossible in ("", "a\x00b", "x" * 513):
        with pytest.raises(InvalidArgument):
            getattr(client, read)(impossible)


def test_an_unknown_kv_instance_raises_and_an_impossible_key_is_refused(client):
    with pytest.raises(InstanceNotFound):
        client.get_kv_value("nobody", "k")
    client.start_orchestration("order-7", "orders.waits")
    with pytest.raises(InvalidArgument, match="KV key"):
        client.get_kv_value("order-7", "")
