"""Reads. Invariants of the reference: management, custom_status, kv_store and multi_execution as clients see them."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection

from django_durable.engine import events
from django_durable.engine.errors import InstanceNotFound, InvalidArgument
from django_durable.engine.failures import Failure
from django_durable.engine.states import RuntimeStatus
from django_durable.models import Instance
from django_durable.store import instances, keyvalues, queries
from django_durable.store.filters import InstanceFilter

from .lives import (
    COMPLETED,
    FAILED,
    NOW,
    USING,
    activity,
    continued,
    family,
    finish,
    nudge,
    park,
    start,
    turn,
)

pytestmark = pytest.mark.django_db


def status(instance_id: str) -> queries.StatusRecord:
    return queries.status_of(instance_id, using=USING)


def listed(**conditions) -> list[str]:
    page = queries.page_of(InstanceFilter(**conditions), using=USING)
    return [each.instance_id for each in page.items]


# Status.


def test_a_status_is_one_query_however_long_the_history(django_assert_num_queries):
    start("order-7")
    for _ in range(20):
        nudge("order-7")
        turn("order-7", activity())
    with django_assert_num_queries(1):
        found = status("order-7")
    assert found.runtime_status is RuntimeStatus.RUNNING
    assert (found.output, found.failure, found.execution_number) == (None, None, 1)


def test_a_status_has_the_output_or_the_failure_of_the_current_execution():
    finish("good")
    finish("bad", FAILED)
    continued("again", 1)
    assert (status("good").output, status("good").completed_at) == ('"done"', NOW)
    assert status("bad").failure == Failure("ValueError", "broken", "Traceback ...")
    assert (status("again").execution_number, status("again").output) == (2, None)


def test_a_blocked_instance_says_why():
    start("order-7")
    park("order-7")
    assert status("order-7").blocked_reason == Failure("NotRegistered", "No orchestration 'orders'.")


def test_every_read_of_an_unknown_instance_raises():
    reads = (
        queries.status_of, queries.info_of, queries.tree_of, queries.execution_numbers, queries.execution_of,
        queries.history_of, keyvalues.key_values_of,
    )  # fmt: skip
    for read in reads:
        with pytest.raises(InstanceNotFound, match="'nobody'"):
            read("nobody", using=USING)
    with pytest.raises(InstanceNotFound):
        keyvalues.key_value_of("nobody", "k", using=USING)


# custom_status


def test_custom_status_is_absent_at_version_zero_until_it_is_set():
    start("order-7")
    assert (status("order-7").custom_status, status("order-7").custom_status_version) == (None, 0)


def test_custom_status_grows_by_one_version_per_turn_and_the_last_write_wins():
    start("order-7")
    turn("order-7", events.CustomStatusUpdated(value='"one"'), events.CustomStatusUpdated(value='"two"'))
    assert (status("order-7").custom_status, status("order-7").custom_status_version) == ('"two"', 1)
    nudge("order-7")
    turn("order-7")
    assert (status("order-7").custom_status, status("order-7").custom_status_version) == ('"two"', 1)
    nudge("order-7")
    turn("order-7", events.CustomStatusUpdated(value=None))
    assert (status("order-7").custom_status, status("order-7").custom_status_version) == (None, 2)


def test_custom_status_survives_continue_as_new_and_the_end():
    start("order-7")
    turn("order-7", events.CustomStatusUpdated(value="1"), events.OrchestrationContinuedAsNew(input="1"))
    assert status("order-7").custom_status == "1"
    turn("order-7", COMPLETED)
    assert (status("order-7").custom_status, status("order-7").custom_status_version) == ("1", 1)


def test_the_revision_grows_with_every_turn_and_every_move():
    start("order-7")
    seen = [status("order-7").revision]
    turn("order-7")
    seen.append(status("order-7").revision)
    instances.suspend_instance("order-7", now=NOW, using=USING)
    seen.append(status("order-7").revision)
    instances.resume_instance("order-7", now=NOW, using=USING)
    seen.append(status("order-7").revision)
    assert seen == [1, 2, 3, 4]


# kv_store


def test_a_kv_entry_is_read_as_last_committed_by_one_query(django_assert_num_queries):
    start("order-7")
    turn("order-7", events.KeyValueSet(key="k", value="1"), events.KeyValueSet(key="k", value="2"))
    with django_assert_num_queries(1):
        assert keyvalues.key_value_of("order-7", "k", using=USING).payload == "2"
    with django_assert_num_queries(1):
        assert keyvalues.key_values_of("order-7", using=USING) == {"k": "2"}


def test_a_missing_kv_entry_is_none_and_no_entries_are_an_empty_dict():
    start("order-7")
    assert keyvalues.key_value_of("order-7", "k", using=USING).payload is None
    assert keyvalues.key_values_of("order-7", using=USING) == {}


@pytest.mark.parametrize("key", ["", "ключ 🔑", "x" * 255])
def test_kv_keys_and_values_are_stored_as_they_are(key):
    value = '"' + "ü" * 30_000 + '"'
    start("order-7")
    turn("order-7", events.KeyValueSet(key=key, value=value))
    assert keyvalues.key_value_of("order-7", key, using=USING).payload == value


def test_kv_entries_are_cleared_one_or_all_and_set_again_in_the_same_turn():
    start("order-7")
    turn("order-7", *(events.KeyValueSet(key=key, value="1") for key in "abc"))
    nudge("order-7")
    turn("order-7", events.KeyValueCleared(key="a"))
    assert list(keyvalues.key_values_of("order-7", using=USING)) == ["b", "c"]
    nudge("order-7")
    turn("order-7", events.KeyValuesCleared(keys=("b", "c")), events.KeyValueSet(key="b", value="2"))
    assert keyvalues.key_values_of("order-7", using=USING) == {"b": "2"}


def test_kv_entries_are_each_instances_own_and_outlive_executions():
    start("other")
    turn("other", events.KeyValueSet(key="k", value='"other"'))
    start("order-7")
    turn("order-7", events.KeyValueSet(key="k", value="1"), events.OrchestrationContinuedAsNew(input="1"))
    turn("order-7", events.KeyValueSet(key="l", value="2"), COMPLETED)
    assert keyvalues.key_values_of("order-7", using=USING) == {"k": "1", "l": "2"}
    assert keyvalues.key_values_of("other", using=USING) == {"k": '"other"'}


# management


def test_a_page_is_one_query_newest_first_and_pages_follow_each_other(django_assert_num_queries):
    names = [f"order-{number}" for number in range(7)]
    for name in names:
        start(name)
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        with django_assert_num_queries(1):
            page = queries.page_of(InstanceFilter(), limit=3, cursor=cursor, using=USING)
        seen += [each.instance_id for each in page.items]
        cursor, pages = page.next_cursor, pages + 1
    assert (seen, pages) == (names[::-1], 3)


def test_a_page_is_stable_while_instances_are_started():
    for number in range(4):
        start(f"old-{number}")
    first = queries.page_of(InstanceFilter(), limit=2, using=USING)
    start("new")
    second = queries.page_of(InstanceFilter(), limit=2, cursor=first.next_cursor, using=USING)
    assert [each.instance_id for each in second.items] == ["old-1", "old-0"]
    assert second.next_cursor is None


def test_every_condition_of_a_filter_narrows_the_list():
    family()
    finish("order-1", now=NOW + timedelta(days=1))
    start("Order-2", orchestration="refunds", version="3.0.0", now=NOW + timedelta(days=2))
    assert listed(runtime_status="Completed") == ["order-1"]
    assert listed(runtime_status=["Completed", RuntimeStatus.PENDING]) == ["Order-2", "order-1"]
    assert listed(orchestration="shipping") == ["leaf", "right", "left"]
    assert listed(version="3.0.0") == ["Order-2"]
    assert listed(instance_id_prefix="order-") == ["order-1"]
    assert listed(parent="root") == ["right", "left"]
    assert listed(has_parent=False) == ["Order-2", "order-1", "root"]
    assert listed(has_parent=True, orchestration="orders") == []
    assert listed(created_after=NOW, created_before=NOW + timedelta(days=2)) == ["order-1"]
    assert listed(completed_after=NOW) == ["order-1"]
    assert listed(completed_before=NOW + timedelta(days=1)) == []
    assert listed(instance_ids=["leaf", "nobody"]) == ["leaf"]
    assert listed(limit=1) == ["Order-2"]


@pytest.mark.parametrize("prefix", ["100%", "a_b", "a\\b", "'"])
def test_a_prefix_means_itself(prefix):
    start(f"{prefix}-yes")
    start("100x-no")
    start("axb-no")
    assert listed(instance_id_prefix=prefix) == [f"{prefix}-yes"]


@pytest.mark.parametrize(
    "conditions",
    [
        {"runtime_status": "completed"},
        {"runtime_status": ["Running", "ContinuedAsNew"]},
        {"created_after": NOW.replace(tzinfo=None)},
        {"completed_before": "2026-01-01"},
        {"limit": 0},
        {"limit": True},
        {"instance_ids": "order-7"},
    ],
)
def test_a_filter_that_cannot_mean_anything_is_refused(conditions):
    with pytest.raises(InvalidArgument):
        InstanceFilter(**conditions)


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1" * 30, "٣", 7])
def test_a_cursor_that_no_page_gave_is_refused(cursor):
    with pytest.raises(InvalidArgument, match="one that came with another page"):
        queries.page_of(InstanceFilter(), cursor=cursor, using=USING)


def test_ids_are_listed_oldest_first():
    finish("a")
    start("b")
    finish("c")
    assert queries.instance_ids(InstanceFilter(), using=USING) == ["a", "b", "c"]
    assert queries.instance_ids(InstanceFilter(runtime_status="Completed"), using=USING) == ["a", "c"]


def test_an_info_has_names_places_and_payloads_by_one_query(django_assert_num_queries):
    family()
    with django_assert_num_queries(1):
        info = queries.info_of("leaf", using=USING)
    assert (info.parent_instance_id, info.root_instance_id) == ("left", "root")
    assert (info.orchestration, info.version, info.input, info.output) == ("shipping", "2.0.0", "7", None)
    assert info.history_length == 2
    assert info.created_at == NOW


def test_a_tree_has_the_instance_and_its_descendants_parents_first_by_two_queries(django_assert_num_queries):
    family()
    start("bystander")
    with django_assert_num_queries(2):
        tree = queries.tree_of("root", using=USING)
    assert (tree.root_id, tree.all_ids, tree.size) == ("root", ["root", "left", "right", "leaf"], 4)
    assert queries.tree_of("left", using=USING).all_ids == ["left", "leaf"]
    assert queries.tree_of("leaf", using=USING).all_ids == ["leaf"]


# multi_execution


def test_executions_have_ascending_numbers_and_histories_of_their_own():
    continued("order-7", 2)
    turn("order-7", activity(), COMPLETED, now=NOW + timedelta(days=1))
    assert queries.execution_numbers("order-7", using=USING) == [1, 2, 3]
    histories = [[each.kind for each in queries.history_of("order-7", number, using=USING)] for number in (1, 2, 3)]
    ended = ["OrchestrationStarted", "OrchestrationContinuedAsNew"]
    assert histories == [ended, ended, ["OrchestrationStarted", "ActivityScheduled", "OrchestrationCompleted"]]


def test_the_current_execution_is_what_is_read_by_default():
    continued("order-7", 1)
    turn("order-7", activity())
    assert [each.kind for each in queries.history_of("order-7", using=USING)] == [
        "OrchestrationStarted",
        "ActivityScheduled",
    ]
    current = queries.execution_of("order-7", using=USING)
    assert (current.number, current.status, current.event_count) == (2, "Running", 2)
    first = queries.execution_of("order-7", 1, using=USING)
    assert (first.status, first.output, first.event_count) == ("ContinuedAsNew", None, 2)


def test_a_history_is_read_in_parts():
    start("order-7")
    turn("order-7", *(activity(name) for name in "abc"))
    read = queries.history_of("order-7", after=1, limit=2, using=USING)
    assert [(each.seq, each.fact.name) for each in read] == [(2, "a"), (3, "b")]


def test_an_execution_that_is_not_there_is_refused_with_those_that_are():
    continued("order-7", 2)
    for read in (queries.execution_of, queries.history_of):
        with pytest.raises(InvalidArgument, match="no execution 9; it has 3 from 1 to 3"):
            read("order-7", 9, using=USING)


def test_reading_a_history_costs_two_queries(django_assert_num_queries):
    start("order-7")
    turn("order-7", *(activity() for _ in range(50)))
    with django_assert_num_queries(2):
        assert len(queries.history_of("order-7", using=USING)) == 51


@pytest.fixture
def crowd() -> None:
    """Three thousand that ended, a few that did not, and what the planner knows of them."""
    ended = {"version": "1.0.0", "runtime_status": "Completed"}
    times = {"created_at": NOW, "updated_at": NOW, "completed_at": NOW}
    names = [f"orders-{number}" for number in range(30)]
    Instance.objects.bulk_create(
        Instance(instance_id=f"ended-{n}", orchestration=names[n % 30], **ended, **times) for n in range(3000)
    )
    start("order-7")
    Instance.objects.filter(instance_id="ended-7").update(version="0.9.0")
    # The planner goes by statistics, by those of an empty table too.
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE django_durable_instance")


@pytest.mark.parametrize(
    ("conditions", "index", "expected"),
    [
        ({"runtime_status": "Pending"}, "durable_instance_by_status", ["order-7"]),
        ({"orchestration": "nothing"}, "durable_instance_by_(name|version)", []),
        ({"orchestration": "orders-7", "version": "0.9.0"}, "durable_instance_by_version", ["ended-7"]),
        ({"instance_id_prefix": "order-"}, "instance_(id_[0-9a-f]+_like|1)", ["order-7"]),
        ({"completed_after": NOW + timedelta(days=1)}, "durable_instance_by_end", []),
        ({"created_after": NOW + timedelta(days=1)}, "durable_instance_by_start", []),
    ],
)
def test_a_page_is_found_by_an_index_where_few_match(crowd, conditions, index, expected):
    if connection.vendor == "sqlite" and index.endswith(("_end", "_start")):
        pytest.skip("SQLite walks by id until a page is full: it would rather not sort.")
    found = queries.matching(InstanceFilter(**conditions), using=USING).order_by("-id")[:10]
    assert re.search(index, found.explain())
    assert [each.instance_id for each in found] == expected


def test_a_prefix_of_many_is_walked_and_one_of_few_is_looked_up(crowd):
    assert len(listed(instance_id_prefix="ended-", limit=5)) == 5
    assert listed(instance_id_prefix="ended-2999") == ["ended-2999"]
    assert listed(instance_id_prefix="Ended-2999") == []


@pytest.mark.parametrize("last", ["\ud7ff", "\ue000", "\U0010ffff", "z", "é", "鍵"])
def test_a_prefix_may_end_in_any_letter(last):
    start(f"a{last}")
    start(f"a{last}b")
    start("a")
    start("b")
    assert listed(instance_id_prefix=f"a{last}") == [f"a{last}b", f"a{last}"]
