"""Limitations of the reference system that are not here; the numbers are those of section 3 of its description.

`ELSEWHERE` names the tests of what needs a process, a thread or another suite; a test checks that they exist.
"""

from __future__ import annotations

from collections import Counter

import pytest
from django.db import transaction

from django_durable import (
    InstanceNotFound,
    InvalidArgument,
    LimitExceeded,
    NotRegistered,
    PayloadError,
    SubOrchestrationError,
)
from django_durable.store.records import TagFilter
from django_durable.testing import Durable

from .measures import exists, kinds, row_counts, statements

ELSEWHERE = {
    "1.9 an activity that is not registered does not abort its orchestration": (
        "worker/test_drained_activities.py::test_an_activity_that_is_not_registered_here_is_left_for_later_and_not_counted",
    ),
    "3.9 cancellation reaches an activity within a second": (
        "worker/test_threads.py::test_a_cancellation_reaches_a_running_activity_within_about_a_second",
    ),
    "3.14 no polling where there are hints": (
        "worker/test_threads.py::test_an_idle_worker_is_woken_by_a_start",
        "client/test_waiting.py::test_a_wait_ends_by_a_hint_alone",
    ),
    "3.15 no locked database": ("acceptance/conftest.py::workers",),
    "3.19 a tag that no worker serves is not waited for beyond the total time": (
        "worker/test_threads.py::test_an_expired_activity_that_nobody_serves_fails_for_its_orchestration",
    ),
    "3.20 async activities, an async client": (
        "worker/test_threads.py::test_a_fan_out_of_sync_and_async_activities_runs_to_its_end",
        "client/test_async.py::test_the_twins_start_send_steer_and_read",
    ),
}


@pytest.mark.parametrize("place", [place for places in ELSEWHERE.values() for place in places])
def test_what_is_shown_elsewhere_is_there(place):
    assert exists(place)


def test_3_11_errors_keep_their_type_and_message_through_children(durable, registry):
    class DeclinedError(Exception):
        pass

    @registry.activity("charge")
    def charge():
        raise DeclinedError("card expired")

    @registry.orchestration("pays")
    def pays(ctx, depth: int):
        if depth:
            return (yield ctx.schedule_sub_orchestration("pays", depth - 1))
        return (yield ctx.schedule_activity("charge"))

    @registry.orchestration("handles")
    def handles(ctx):
        try:
            yield ctx.schedule_sub_orchestration("pays", 2)
        except SubOrchestrationError as error:
            return [error.error_type.rpartition(".")[2], error.message]

    durable.client.start_orchestration("it", "handles")
    durable.run()
    assert durable.client.get_output("it") == ["DeclinedError", "card expired"]


def test_3_12_the_time_and_a_guid_cost_no_turn_and_can_be_combined(durable, registry):
    @registry.orchestration("asks")
    def asks(ctx):
        both = yield ctx.all([ctx.utc_now(), ctx.new_guid()])
        for _ in range(20):
            yield ctx.utc_now()
            yield ctx.new_guid()
        return [type(each["ok"]).__name__ for each in both]

    durable.client.start_orchestration("it", "asks")
    durable.run()
    assert durable.client.get_output("it") == ["int", "str"]
    assert durable.worker.metrics_snapshot()["turns"] == 1
    assert "ActivityScheduled" not in kinds(durable, "it")


def test_3_13_a_turn_costs_the_same_however_long_the_history_is(durable, registry):
    @registry.orchestration("counts")
    def counts(ctx):
        total = 0
        while total < 1000:
            total += yield ctx.wait_for_event("number")
        return total

    durable.client.start_orchestration("it", "counts")
    durable.run()
    costs = []
    for _ in range(200):
        durable.client.raise_event("it", "number", 1)
        with statements() as found:
            durable.run()
        # Now and then a turn is also the one that asks what becomes due, more often on a slow machine.
        costs.append([each for each in found if "MIN(visible_at)" not in each])
    early, late = (Counter(map(len, part)).most_common(1)[0][0] for part in (costs[10:60], costs[-50:]))
    assert early == late
    reads = [each for each in costs[-1] if each.lstrip().startswith("SELECT") and "historyevent" in each]
    assert reads == []


def test_3_13_a_chain_costs_no_read_of_its_history(durable, registry):
    @registry.activity("double")
    def double(number: int) -> int:
        return number * 2

    @registry.orchestration("chain")
    def chain(ctx):
        number = 1
        for _ in range(20):
            number = yield ctx.schedule_activity("double", number)
        return number

    durable.client.start_orchestration("it", "chain")
    with statements() as found:
        durable.run()
    assert durable.client.get_output("it") == 2**20
    assert not [each for each in found if each.lstrip().startswith("SELECT") and "historyevent" in each]


def test_3_16_payloads_are_bounded_and_a_loop_leaves_executions_that_can_be_pruned(durable, registry, settings):
    settings.DJANGO_DURABLE = {"MAX_PAYLOAD_BYTES": 2048}

    @registry.orchestration("loops")
    def loops(ctx, left: int, filling: str = ""):
        if left:
            ctx.continue_as_new(left - 1)
        return left
        yield

    with pytest.raises(PayloadError, match="2,048"):
        durable.client.start_orchestration("big", "loops", {"left": 0, "filling": "x" * 5000})
    durable.client.start_orchestration("it", "loops", {"left": 5})
    durable.run()
    assert durable.client.list_executions("it") == [1, 2, 3, 4, 5, 6]
    assert durable.client.prune_executions("it").executions_deleted == 5
    assert durable.client.list_executions("it") == [6]


def test_3_17_a_start_is_part_of_the_callers_transaction_and_is_there_at_once(durable, registry):
    @registry.orchestration("waits")
    def waits(ctx):
        yield ctx.wait_for_event("never")

    with transaction.atomic():
        durable.client.start_orchestration("it", "waits")
        assert durable.client.get_status("it").runtime_status == "Pending"
        transaction.set_rollback(True)
    with pytest.raises(InstanceNotFound):
        durable.client.get_status("it")
    with pytest.raises(NotRegistered, match="No orchestration 'typo' is registered"):
        durable.client.start_orchestration("it", "typo")
    assert row_counts()["Instance"] == 0


def test_3_19_a_filter_that_cannot_be_is_refused(db, registry):
    with pytest.raises(LimitExceeded, match="The number of tags of a worker is 6, the limit is 5."):
        TagFilter.tags(list("abcdef"))
    with pytest.raises(InvalidArgument, match="tags is 'gpu', expected a TagFilter"):
        Durable(registry, tags="gpu")


def test_3_21_an_explicit_id_may_be_used_again_when_its_instance_was_deleted(durable, registry):
    @registry.orchestration("child")
    def child(ctx):
        return "done"
        yield

    @registry.orchestration("parent")
    def parent(ctx):
        yield ctx.start_orchestration("child", "aside")
        yield ctx.schedule_timer(1000)
        try:
            return (yield ctx.schedule_sub_orchestration_with_id("child", "aside"))
        except SubOrchestrationError as error:
            return error.error_type.rpartition(".")[2]

    durable.client.start_orchestration("one", "parent")
    durable.run_to_the_end()
    assert durable.client.get_output("one") == "InstanceAlreadyExists"
    durable.client.delete_instance("aside")
    durable.client.delete_instance("one")
    durable.client.start_orchestration("aside", "child")
    durable.run()
    assert durable.client.get_output("aside") == "done"


def test_3_22_rows_have_their_times_and_events_their_data_on_both_databases(durable, registry):
    @registry.activity("echo")
    def echo(value):
        return value

    @registry.orchestration("varied")
    def varied(ctx):
        ctx.set_kv_value("key", {"deep": [1]})
        ctx.set_custom_status("half")
        yield ctx.schedule_activity("echo", None)
        yield ctx.start_orchestration("child", "other")
        yield ctx.utc_now()
        return "done"

    @registry.orchestration("child")
    def child(ctx):
        return None
        yield

    started = durable.now()
    durable.client.start_orchestration("it", "varied")
    durable.run()
    info = durable.client.get_instance_info("it")
    assert started <= info.created_at <= info.started_at <= info.completed_at == info.updated_at <= durable.now()
    execution = durable.client.get_execution_info("it")
    assert started <= execution.started_at <= execution.completed_at
    for event in durable.client.read_execution_history("it"):
        assert started <= event.recorded_at <= durable.now()
        assert event.fact.columns().kind == event.kind
