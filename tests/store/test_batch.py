"""Writes that are sent together: the same result on both databases, in one statement where there can be one."""

from __future__ import annotations

import pytest
from django.db import connection

from django_durable.engine.errors import LeaseLost
from django_durable.models import KeyValue
from django_durable.store import sql
from django_durable.store.batch import GIVEN, Batch

from .lives import NOW, row, start

pytestmark = pytest.mark.django_db
COLUMNS = ("instance_id", "key", "value", "updated_at")
REPLACING = "ON CONFLICT (instance_id, key) DO UPDATE SET value = excluded.value"
PLACE = "instance_id bigint, key text"
DELETE = f"DELETE FROM {sql.table(KeyValue)} WHERE (instance_id, key) IN (SELECT instance_id, key FROM {GIVEN})"


@pytest.fixture
def place():
    start("order-7")
    return row("order-7").id


def entries(place, **values):
    return [(place, key, value, sql.moment(connection, NOW)) for key, value in values.items()]


def stored():
    return dict(KeyValue.objects.values_list("key", "value"))


def test_a_batch_of_nothing_costs_nothing(django_assert_num_queries):
    batch = Batch(connection)
    batch.insert(KeyValue, COLUMNS, [])
    batch.change(DELETE, PLACE, [], guarded=True)
    batch.delete(KeyValue, [])
    with django_assert_num_queries(0):
        batch.run()


def test_all_writes_are_carried_out_by_one_statement_where_there_can_be_one(place, django_assert_num_queries):
    batch = Batch(connection)
    batch.insert(KeyValue, COLUMNS, entries(place, a="1", b="2"))
    batch.run()
    batch.change(DELETE, PLACE, [(place, "a"), (place, "never there")])
    batch.insert(KeyValue, COLUMNS, entries(place, b="3", c="4"), REPLACING)
    with django_assert_num_queries(1 if connection.vendor == "postgresql" else 2):
        batch.run()
    assert stored() == {"b": "3", "c": "4"}


def test_a_batch_is_empty_after_it_ran(place, django_assert_num_queries):
    batch = Batch(connection)
    batch.insert(KeyValue, COLUMNS, entries(place, a="1"))
    batch.run()
    with django_assert_num_queries(0):
        batch.run()


@pytest.mark.parametrize("others", [0, 1])
def test_a_change_that_has_to_find_all_its_rows_says_when_it_did_not(place, others):
    batch = Batch(connection)
    batch.insert(KeyValue, COLUMNS, entries(place, a="1"))
    batch.run()
    batch.change(DELETE, PLACE, [(place, "a"), (place, "gone")], guarded=True)
    batch.insert(KeyValue, COLUMNS, entries(place, **dict.fromkeys("bcd"[:others], "2")))
    with pytest.raises(LeaseLost):
        batch.run()


def test_rows_too_heavy_for_one_parameter_are_written_all_the_same(place):
    heavy = "x" * (sql.HEAVY + 1)
    batch = Batch(connection)
    batch.insert(KeyValue, COLUMNS, entries(place, a=heavy))
    batch.change(DELETE, PLACE, [(place, "b")])
    batch.run()
    assert stored() == {"a": heavy}
