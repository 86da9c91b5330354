"""Steering, inspecting and cleaning up by the client; the statements behind are tested with the store."""

from __future__ import annotations

import inspect

import pytest

from django_durable.client import Client, DeleteResult, InstanceFilter, PruneOptions, client
from django_durable.client.operating import Inspecting, Retaining, Steering
from django_durable.client.reading import Reading
from django_durable.client.starting import Starting
from django_durable.engine.errors import IllegalTransition, InvalidArgument
from django_durable.registry import default

pytestmark = pytest.mark.django_db


def test_cancel_lets_the_code_end_and_a_second_cancel_is_refused(client, durable):
    client.start_orchestration("order-7", "orders.parent")
    durable.run()
    client.cancel_instance("order-7", "customer left")
    durable.run()
    assert {each.runtime_status for each in client.get_instance_tree("order-7").nodes} == {"Canceled"}
    with pytest.raises(IllegalTransition, match="it is Canceled"):
        client.cancel_instance("order-7")


def test_a_terminated_child_fails_its_parent(client, durable):
    client.start_orchestration("order-7", "orders.parent")
    durable.run()
    child = client.get_instance_tree("order-7").all_ids[1]
    client.terminate_instance(child, "no")
    durable.run()
    status = client.get_status("order-7")
    assert (status.runtime_status, status.error.error_type) == ("Failed", "Terminated")


def test_a_suspended_instance_goes_on_after_resume(client, durable):
    client.start_orchestration("order-7", "orders.waits")
    durable.run()
    client.suspend_instance("order-7")
    client.raise_event("order-7", "go", 1)
    client.raise_event("order-7", "end")
    durable.run()
    assert client.get_status("order-7").runtime_status == "Suspended"
    client.resume_instance("order-7")
    durable.run()
    assert client.get_output("order-7") == 1


def test_an_instance_without_its_code_is_blocked_and_goes_on_where_the_code_is(client, durable):
    from django_durable import Registry
    from django_durable.testing import Durable

    client.start_orchestration("order-7", "orders.checkout", 7)
    elsewhere = Durable(Registry())
    elsewhere.run()
    elsewhere.close()
    status = client.get_status("order-7")
    assert status.runtime_status == "Blocked"
    assert "orders.checkout" in status.blocked_reason.message
    client.resume_instance("order-7")
    durable.run()
    assert client.get_status("order-7").runtime_status == "Completed"


def test_lists_histories_and_numbers_come_from_the_same_rows(client, durable):
    client.start_orchestration("a", "orders.checkout", 7)
    client.start_orchestration("b", "orders.waits")
    durable.run()
    assert client.list_all_instances() == ["a", "b"]
    assert client.list_instances_by_status("Running") == ["b"]
    page = client.list_instances(InstanceFilter(orchestration="orders.waits"), limit=1)
    assert ([each.instance_id for each in page.items], page.next_cursor) == (["b"], None)
    assert client.list_executions("a") == [1]
    assert [each.kind for each in client.read_execution_history("a")] == [
        "OrchestrationStarted",
        "OrchestrationCompleted",
    ]
    assert client.get_execution_info("a").status == "Completed"
    assert client.get_instance_info("a").input == "7"
    assert client.get_orchestration_stats("b").kv_user_key_count == 1
    assert client.get_system_metrics().total_instances == 2
    assert client.get_queue_depths().orchestrator_queue == 0
    assert client.list_workers() == []
    with pytest.raises(InvalidArgument, match="There is no status 'running'"):
        client.list_instances_by_status("running")


def test_finished_instances_can_be_deleted_one_or_all(client, durable):
    for name in ("a", "b", "c"):
        client.start_orchestration(name, "orders.checkout", 7)
    client.start_orchestration("d", "orders.waits")
    durable.run()
    assert client.delete_instance("a").instances_deleted == 1
    assert client.delete_instance_bulk(InstanceFilter(instance_ids=["b", "d"])).instances_deleted == 1
    assert client.delete_instance_bulk().instances_deleted == 1
    assert client.delete_instance_bulk() == DeleteResult()
    assert client.delete_instance("d", force=True).instances_deleted == 1
    assert client.list_all_instances() == []


def test_pruning_defaults_to_everything_but_the_current_execution(client, durable):
    client.start_orchestration("a", "orders.checkout", 7)
    durable.run()
    assert client.prune_executions("a").executions_deleted == 0
    assert client.prune_executions_bulk(options=PruneOptions(keep_last=3)).instances_processed == 0


# The shape of the client.


@pytest.mark.parametrize("part", [Starting, Reading, Steering, Inspecting, Retaining])
def test_every_method_has_an_async_twin_with_the_same_parameters(part):
    methods = {name: each for name, each in vars(part).items() if callable(each) and not name.startswith("_")}
    plain = {name for name in methods if not inspect.iscoroutinefunction(methods[name])}
    assert {f"a{name}" for name in plain} == set(methods) - plain
    for name in plain:
        twin = methods[f"a{name}"]
        assert list(inspect.signature(twin).parameters) == list(inspect.signature(methods[name]).parameters)
        assert (twin.__name__, twin.__doc__) == (f"a{name}", f"Async twin of `{name}`.")
        assert methods[name].__doc__


def test_the_module_has_the_client_of_the_default_registry():
    assert isinstance(client, Client)
    assert client.registry is default
    assert default.starter is client


def test_the_database_is_the_one_in_the_settings_unless_one_is_given(settings):
    settings.DJANGO_DURABLE = {"DATABASE": "replica"}
    assert client.using == "replica"
    assert Client(default, using="default").using == "default"
