"""What the statements written in SQL share: rows as one parameter, moments, ids; and the records they become."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.db import connection

from django_durable import models
from django_durable.engine.errors import InvalidArgument, LimitExceeded
from django_durable.store import sql
from django_durable.store.records import MAX_TAG_BYTES, MAX_TAGS, TagFilter

from .lives import NOW

pytestmark = pytest.mark.django_db
COLUMNS = "number bigint, word text, at timestamptz, flag boolean"
WORDS = ["plain", "", 'quotes " and \\ and \n', "schlüssel 鍵 🔑", "{}", "%s %% ?", "x" * 100_000, None]


def read(rows, columns=COLUMNS, *, looked_up=False):
    given = sql.rows(connection, "given", columns, looked_up=looked_up)
    return sql.fetch(connection, f"SELECT * FROM {given}", [sql.pack(columns, rows)])


def test_rows_arrive_in_order_with_every_value_as_it_was():
    rows = [(number - 2, word, sql.moment(connection, NOW), bool(number % 2)) for number, word in enumerate(WORDS)]
    found = [(number, word, sql.read_moment(at), bool(flag)) for number, word, at, flag in read(rows)]
    assert found == [(number, word, NOW, flag) for number, word, _, flag in rows]


@pytest.mark.parametrize("number", [0, -1, 2**31, 2**63 - 1, -(2**63), None])
def test_numbers_keep_their_value_over_the_whole_range(number):
    assert read([(number,)], "number bigint") == [(number,)]


def test_rows_that_are_looked_up_are_all_there():
    rows = [(str(number), number) for number in range(500)]
    assert read(rows, "word text, number bigint", looked_up=True) == rows


def test_no_rows_are_no_rows():
    assert read([]) == []


def test_a_row_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="zip"):
        sql.pack("a bigint, b bigint", [(1,)])


def test_text_that_no_database_stores_is_refused():
    with pytest.raises(ValueError, match="surrogate"):
        sql.pack("word text", [("\ud800",)])


@pytest.mark.parametrize("count", [1, 3, 1_500])
@pytest.mark.parametrize("length", [1, 2_000])
def test_rows_are_inserted_as_they_are_however_many_and_however_large(count, length):
    rows = [(f"session-{number}", "w" * (length // 10), NOW, NOW) for number in range(count)]
    given = [(session, worker, *(sql.moment(connection, at) for at in moments)) for session, worker, *moments in rows]
    columns = ("session_id", "worker_id", "lease_until", "last_activity_at")
    assert sql.insert_rows(connection, models.Session, columns, given) == []
    assert sorted(models.Session.objects.values_list(*columns)) == sorted(rows)


def test_inserting_returns_what_is_asked_for_and_leaves_what_is_there():
    columns = ("session_id", "worker_id", "lease_until", "last_activity_at")
    at = sql.moment(connection, NOW)
    suffix = "ON CONFLICT (session_id) DO NOTHING RETURNING session_id"
    assert sql.insert_rows(connection, models.Session, columns, [("a", "w", at, at)], suffix) == [("a",)]
    rows = [("a", "other", at, at), ("b", "w", at, at)]
    assert sql.insert_rows(connection, models.Session, columns, rows, suffix) == [("b",)]
    assert models.Session.objects.get(session_id="a").worker_id == "w"


def test_writing_nothing_costs_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert sql.insert_rows(connection, models.Session, ("session_id",), []) == []
        sql.delete_by_id(connection, models.QueuedEvent, [])


@pytest.mark.parametrize(
    "value",
    [
        NOW,
        NOW + timedelta(microseconds=1),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2126, 1, 1, 12, 30, 15, 999_999, tzinfo=UTC),
        datetime(2026, 6, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    ],
)
def test_moments_come_back_as_the_same_moment_in_utc(value):
    models.Session.objects.create(session_id="s", worker_id="w", lease_until=value, last_activity_at=value)
    ((raw,),) = sql.fetch(connection, f"SELECT lease_until FROM {sql.table(models.Session)}")
    assert sql.read_moment(raw) == value
    assert sql.read_moment(raw).utcoffset() == timedelta(0)
    where = f"SELECT COUNT(*) FROM {sql.table(models.Session)} WHERE lease_until = %s"
    assert sql.fetch(connection, where, [sql.moment(connection, value)]) == [(1,)]


def test_no_moment_is_no_moment():
    assert sql.moment(connection, None) is None
    assert sql.read_moment(None) is None


# Records.


@pytest.mark.parametrize(
    ("names", "error"),
    [
        (["a", ""], InvalidArgument),
        ([], InvalidArgument),
        ("gpu", InvalidArgument),
        ([1], InvalidArgument),
        ([f"tag-{number}" for number in range(MAX_TAGS + 1)], LimitExceeded),
        (["ä" * (MAX_TAG_BYTES // 2 + 1)], LimitExceeded),
    ],
)
@pytest.mark.parametrize("make", [TagFilter.tags, TagFilter.default_and])
def test_tags_that_no_worker_can_serve_are_refused(make, names, error):
    with pytest.raises(error):
        make(names)


def test_the_most_and_the_longest_tags_are_accepted():
    names = [f"{number}".rjust(MAX_TAG_BYTES, "t") for number in range(MAX_TAGS)]
    assert TagFilter.tags(names).names == frozenset(names)


def test_a_tag_filter_can_be_shown():
    assert TagFilter.ANY.as_dict() == {"any": True, "untagged": True, "tags": []}
    assert TagFilter.NONE.as_dict() == {"any": False, "untagged": False, "tags": []}
    assert TagFilter.default_and(["b", "a"]).as_dict() == {"any": False, "untagged": True, "tags": ["a", "b"]}
