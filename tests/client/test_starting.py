"""Starting and sending: names, versions, ids, payloads, transactions."""

from __future__ import annotations

import logging
import re
from datetime import datetime, timedelta

import pytest
from django.db import transaction

from django_durable import Registry, models
from django_durable.client import Client, StartResult
from django_durable.engine.errors import (
    IllegalTransition,
    InstanceAlreadyExists,
    InstanceNotFound,
    InvalidArgument,
    NotRegistered,
    PayloadError,
)

from .orders import checkout, fails, old_checkout, registry

pytestmark = pytest.mark.django_db


def stored(instance_id: str) -> tuple[str, str, str]:
    """Return orchestration, version and input of an instance."""
    execution = models.Execution.objects.get(instance__instance_id=instance_id)
    return execution.instance.orchestration, execution.version, execution.input


def rows() -> int:
    return models.Instance.objects.count() + models.Execution.objects.count() + models.InboxMessage.objects.count()


@pytest.mark.parametrize("input", [7, {"order_id": 7}])
def test_a_start_by_name_takes_the_latest_version_and_binds_its_input(client, input):
    assert client.start_orchestration("order-7", "orders.checkout", input) == StartResult("order-7", created=True)
    assert stored("order-7") == ("orders.checkout", "1.1.0", "7")


def test_a_start_may_name_a_definition_or_ask_for_a_version(client):
    client.start_orchestration("a", checkout, {"order_id": 7, "express": True})
    client.start_orchestration("b", "orders.checkout", 7, version="1.0.0")
    client.start_orchestration_versioned("c", "orders.checkout", 7, "1.0.0")
    assert stored("a") == ("orders.checkout", "1.1.0", '{"express":true,"order_id":7}')
    assert stored("b") == stored("c") == ("orders.checkout", "1.0.0", "7")


def test_a_definition_starts_itself_with_the_same_input_as_a_start_by_name(client):
    assert checkout.start(order_id=7, instance_id="order-7") == "order-7"
    assert client.start_orchestration("order-7", "orders.checkout", {"order_id": 7}).created is False
    assert checkout.start(7, instance_id="order-7") == "order-7"


def test_a_definition_started_without_an_id_gets_a_new_one():
    assert len({fails.start(), fails.start()}) == 2
    assert re.fullmatch("fails-[0-9a-f]{32}", fails.start())


def test_a_repeated_start_says_that_the_instance_was_there(client):
    client.start_orchestration("order-7", "orders.checkout", 7)
    assert client.start_orchestration("order-7", "orders.checkout", 7) == StartResult("order-7", created=False)


def test_a_start_with_another_input_orchestration_or_asked_version_raises_what_differs(client):
    client.start_orchestration("order-7", "orders.checkout", 7)
    before = rows()
    with pytest.raises(InstanceAlreadyExists, match="with another input"):
        client.start_orchestration("order-7", "orders.checkout", 8)
    with pytest.raises(InstanceAlreadyExists, match="with another orchestration"):
        client.start_orchestration("order-7", "orders.fails")
    with pytest.raises(InstanceAlreadyExists, match="with another version"):
        client.start_orchestration("order-7", "orders.checkout", 7, version="1.0.0")
    with pytest.raises(InstanceAlreadyExists, match="with another version"):
        old_checkout.start(7, instance_id="order-7")
    assert rows() == before


def test_a_start_that_was_made_before_a_new_version_was_deployed_can_be_repeated(client):
    old_checkout.start(7, instance_id="order-7")
    assert client.start_orchestration("order-7", "orders.checkout", 7).created is False
    assert checkout.start(7, instance_id="order-7") == "order-7"


@pytest.mark.parametrize(
    ("name", "version", "text"),
    [("orders.chekout", None, "orders.checkout"), ("orders.checkout", "9.9.9", "1.0.0")],
)
def test_an_unknown_name_or_version_is_refused_at_the_call_with_what_is_there(client, name, version, text):
    with pytest.raises(NotRegistered, match=text):
        client.start_orchestration("order-7", name, 7, version=version)
    assert rows() == 0


@pytest.mark.parametrize("instance_id", ["", "x" * 513, "a\nb", "a\x00b", "a\x7fb", "\ud800", None, 7, b"order"])
def test_an_id_that_cannot_be_is_refused(client, instance_id):
    with pytest.raises(InvalidArgument, match="The instance id is"):
        client.start_orchestration(instance_id, "orders.checkout", 7)
    assert rows() == 0


@pytest.mark.parametrize("instance_id", ["x" * 512, "Bestellung №7 🛒", " ", "a/b?c#d"])
def test_any_other_text_is_an_id(client, instance_id):
    client.start_orchestration(instance_id, "orders.checkout", 7)
    assert client.get_status(instance_id).instance_id == instance_id


def test_a_payload_that_does_not_fit_or_cannot_be_encoded_is_refused_and_nothing_is_written(client, settings):
    settings.DJANGO_DURABLE = {"MAX_PAYLOAD_BYTES": 1_024}
    for input in (object(), {"order_id": "x" * 2_000}, {"order_id": float("nan")}):
        with pytest.raises(PayloadError):
            client.start_orchestration("order-7", "orders.checkout", input)
    with pytest.raises(PayloadError):
        checkout.start(7, 8, 9, instance_id="order-7")
    assert rows() == 0


def test_a_delay_and_a_time_to_start_at_mean_the_same(client):
    at = datetime.now().astimezone() + timedelta(hours=1)
    client.start_orchestration("a", "orders.fails", start_at=at)
    client.start_orchestration("b", "orders.fails", delay=timedelta(hours=1))
    client.start_orchestration("c", "orders.fails", delay=3_600_000)
    fails.start(instance_id="d", start_at=at)
    visible = models.InboxMessage.objects.values_list("visible_at", flat=True)
    assert all(abs(each - at) < timedelta(minutes=1) for each in visible)


@pytest.mark.parametrize(
    "when",
    [
        {"delay": -1},
        {"delay": timedelta(days=40_000)},
        {"delay": 1.5},
        {"start_at": datetime(2030, 1, 1)},
        {"start_at": "tomorrow"},
        {"delay": 1, "start_at": datetime(2030, 1, 1).astimezone()},
    ],
)
def test_a_time_to_start_at_that_cannot_be_is_refused(client, when):
    with pytest.raises(InvalidArgument):
        client.start_orchestration("order-7", "orders.fails", **when)
    assert rows() == 0


# Sending.


def test_events_and_messages_reach_the_instance_in_order(client, durable):
    client.start_orchestration("order-7", "orders.waits")
    client.raise_event("order-7", "end", 1)
    client.raise_event("order-7", "go", {"by": "Ada"})
    durable.run()
    assert client.get_output("order-7") == {"by": "Ada"}


@pytest.mark.parametrize("send", ["raise_event", "enqueue_event"])
def test_a_send_that_cannot_be_delivered_raises_and_writes_nothing(client, durable, send):
    call = getattr(client, send)
    with pytest.raises(InstanceNotFound):
        call("nobody", "go", 1)
    client.start_orchestration("order-7", "orders.waits")
    before = rows()
    for name in ("", "x" * 256, "a\x00b", None):
        with pytest.raises(InvalidArgument):
            call("order-7", name, 1)
    with pytest.raises(PayloadError):
        call("order-7", "go", object())
    client.start_orchestration("done", "orders.checkout", 7)
    durable.run()
    with pytest.raises(IllegalTransition, match="it is Completed"):
        call("done", "go", 1)
    assert rows() >= before
    assert models.QueuedEvent.objects.count() == 0


# Transactions.


def test_starts_and_sends_commit_and_roll_back_with_the_callers_transaction(client):
    client.start_orchestration("order-1", "orders.waits")

    def everything() -> None:
        client.start_orchestration("order-2", "orders.waits")
        client.raise_event("order-1", "go")
        client.raise_event("order-2", "go")
        client.enqueue_event("order-1", "jobs", 1)
        client.cancel_instance("order-1")
        client.suspend_instance("order-2")

    before = rows()
    with transaction.atomic():
        everything()
        transaction.set_rollback(True)
    assert (rows(), models.QueuedEvent.objects.count()) == (before, 0)
    with transaction.atomic():
        everything()
    assert rows() > before


def test_a_savepoint_takes_only_its_own_starts_back(client):
    with transaction.atomic():
        client.start_orchestration("kept", "orders.waits")
        with transaction.atomic():
            client.start_orchestration("dropped", "orders.waits")
            transaction.set_rollback(True)
        client.raise_event("kept", "go")
        with pytest.raises(InstanceNotFound):
            client.raise_event("dropped", "go")
    assert client.list_all_instances() == ["kept"]


def test_an_error_of_a_start_leaves_the_callers_transaction_usable(client):
    with transaction.atomic():
        client.start_orchestration("order-7", "orders.checkout", 7)
        for wrong in (8, object()):
            with pytest.raises((InstanceAlreadyExists, PayloadError)):
                client.start_orchestration("order-7", "orders.checkout", wrong)
        client.start_orchestration("order-8", "orders.checkout", 8)
    assert client.list_all_instances() == ["order-7", "order-8"]


# Registries.


def test_the_first_client_of_a_registry_carries_out_the_starts_of_its_definitions():
    own = Registry()

    @own.orchestration("own")
    def orchestration(ctx):
        return 1

    with pytest.raises(InvalidArgument, match="No client is bound"):
        orchestration.start()
    first = Client(own)
    Client(own)
    assert own.starter is first
    assert first.get_status(orchestration.start()).orchestration == "own"


def test_a_start_logs_nothing(client, caplog):
    caplog.set_level(logging.DEBUG, logger="django_durable")
    client.start_orchestration("order-7", "orders.checkout", 7)
    assert caplog.records == []
    assert registry.starter is not None
