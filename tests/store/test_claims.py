"""Claiming instances: what waits, who gets it, in which order, and at what cost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_durable import models
from django_durable.engine import events
from django_durable.engine.replay import QueuedMessage
from django_durable.store import claims, due, endings, instances, workers
from django_durable.store.inbox import Delivery, deliver
from django_durable.store.starts import NewInstance, insert_instances

from .lives import LEASE, NOW, USING, WORKER, finish, messages, nudge, park, row, start
from .turn_rows import OTHER, claim_all, committed, fresh, made, running, task

pytestmark = pytest.mark.django_db
LATER = NOW + LEASE
SECOND = timedelta(seconds=1)


def flood(instance_id, count, *, now=NOW):
    """Send many messages to one instance."""
    fact = events.ExternalEvent(name="flood", payload="1")
    deliver(connection, [Delivery(row(instance_id).id, fact)] * count, now)


# What waits, and who gets it.


def test_a_claim_leases_what_has_messages_and_brings_them_along():
    (claimed,) = fresh("order-7")
    found = row("order-7")
    assert (claimed.id, claimed.orchestration, claimed.version) == (found.id, "orders", "1.0.0")
    assert (claimed.runtime_status, claimed.execution_number, claimed.history_length) == ("Pending", 1, 0)
    assert (claimed.lease_token, claimed.previous_token, claimed.turn_attempts) == (1, 0, 1)
    assert (found.lease_owner, found.lease_until, found.lease_token) == (WORKER, NOW + LEASE, 1)
    assert [each.fact.kind for each in claimed.messages] == ["OrchestrationStarted"]


def test_instances_without_messages_are_left_alone():
    running("order-7", task())
    assert not claim_all()


def test_a_leased_instance_is_not_given_to_another_worker_and_others_are():
    fresh("leased")
    start("free")
    assert set(claim_all(worker=OTHER)) == {"free"}


def test_a_workers_own_instances_are_given_to_it_again_with_what_arrived_since():
    running("order-7", task(), keep_lease=True, eager=frozenset([2]))
    token = row("order-7").lease_token
    nudge("order-7")
    claimed = claim_all()["order-7"]
    assert (claimed.previous_token, claimed.lease_token) == (token, token + 1)
    assert [each.fact.kind for each in claimed.messages] == ["ExternalEvent"]


def test_an_expired_lease_is_taken_over_and_the_attempt_counted():
    (before,) = fresh("order-7")
    assert not claim_all(worker=OTHER, now=LATER - timedelta(microseconds=1))
    after = claim_all(worker=OTHER, now=LATER)["order-7"]
    assert (after.lease_token, after.turn_attempts) == (before.lease_token + 1, 2)


def test_a_released_instance_is_free_at_once():
    (claimed,) = fresh("order-7")
    claims.release_instances(WORKER, {claimed.id: claimed.lease_token}, NOW, using=USING)
    assert set(claim_all(worker=OTHER)) == {"order-7"}


def test_releasing_with_a_stale_token_or_by_another_worker_changes_nothing(django_assert_num_queries):
    one, two = fresh("one", "two")
    claims.release_instances(WORKER, {one.id: one.lease_token + 1}, NOW, using=USING)
    with django_assert_num_queries(1):
        claims.release_instances(OTHER, {one.id: one.lease_token, two.id: two.lease_token}, NOW, using=USING)
    assert not claim_all(worker=OTHER)


def test_no_more_instances_are_claimed_than_asked_for():
    for number in range(5):
        start(f"order-{number}")
    assert len(claim_all(limit=3)) == 3
    assert len(claim_all(worker=OTHER, limit=3)) == 2


def test_those_that_wait_longest_come_first():
    for number in (3, 1, 2):
        start(f"order-{number}", now=NOW + number * SECOND)
    later = NOW + 10 * SECOND
    assert list(claim_all(now=later, limit=2)) == ["order-1", "order-2"]


def test_what_is_not_due_yet_waits_without_keeping_anything_else_waiting():
    start("later", start_at=NOW + 60 * SECOND)
    start("now")
    assert set(claim_all()) == {"now"}
    assert due.next_due(NOW, using=USING) == NOW + 60 * SECOND
    assert set(claim_all(worker=OTHER, now=NOW + 60 * SECOND)) == {"later", "now"}


def test_a_look_that_finds_nothing_costs_one_query_and_writes_nothing(django_assert_num_queries):
    running("order-7", task())
    with django_assert_num_queries(1):
        assert not claim_all()


def test_a_claim_costs_three_statements_however_many_instances_it_takes(django_assert_num_queries):
    new = [
        NewInstance(instance_id=f"order-{number}", orchestration="o", version="1.0.0", input="1", seed="s")
        for number in range(60)
    ]
    insert_instances(connection, new, NOW)
    for count in (1, 50):
        with django_assert_num_queries(3):
            assert len(claim_all(limit=count)) == count


# Messages.


def test_messages_come_oldest_first_and_the_start_before_everything():
    start("order-7", now=NOW + SECOND)
    for moment in (5, 3, 4):
        flood("order-7", 1, now=NOW + moment * SECOND)
    models.InboxMessage.objects.filter(visible_at=NOW + SECOND).update(visible_at=NOW + 4 * SECOND)
    claimed = claim_all(now=NOW + 10 * SECOND)["order-7"]
    ids = [each.id for each in claimed.messages]
    assert claimed.messages[0].fact.kind == "OrchestrationStarted"
    visible = models.InboxMessage.objects.in_bulk(ids)
    assert [visible[each].visible_at for each in ids[1:]] == [NOW + moment * SECOND for moment in (3, 4, 5)]


def test_messages_of_the_same_moment_keep_the_order_in_which_they_were_sent():
    running("order-7")
    for number in range(20):
        instances.raise_event("order-7", "n", str(number), now=NOW, using=USING)
    assert [each.fact.payload for each in claim_all()["order-7"].messages] == [str(number) for number in range(20)]


def test_a_claim_brings_a_bounded_number_of_messages_and_the_rest_is_for_the_next_turn():
    running("order-7")
    flood("order-7", claims.MESSAGES_PER_CLAIM + 10)
    claimed = claim_all()["order-7"]
    assert len(claimed.messages) == claims.MESSAGES_PER_CLAIM
    committed(made(claimed))
    assert len(claim_all()["order-7"].messages) == 10


def test_a_message_that_cannot_be_decoded_is_delivered_as_an_error():
    running("order-7")
    nudge("order-7")
    nudge("order-7")
    first = models.InboxMessage.objects.order_by("id").first()
    models.InboxMessage.objects.filter(id=first.id).update(kind="FromTheFuture")
    damaged, sound = claim_all()["order-7"].messages
    assert (damaged.id, damaged.fact) == (first.id, None)
    assert "FromTheFuture" in damaged.error
    assert sound.fact.kind == "ExternalEvent"


@pytest.mark.parametrize("data", ["{", "[]", '{"nonsense": 1}'])
def test_damaged_columns_are_an_error_of_their_message_only(data):
    start("order-7")
    models.InboxMessage.objects.update(data=data)
    (message,) = claim_all()["order-7"].messages
    assert message.fact is None
    assert message.error


# Parked and finished instances.


def test_messages_of_parked_instances_are_held_and_come_back_when_it_is_resumed():
    start("order-7")
    park("order-7")
    flood("order-7", 3)
    assert not claim_all()
    assert set(models.InboxMessage.objects.values_list("held", flat=True)) == {True}
    instances.resume_instance("order-7", now=NOW, using=USING)
    assert len(claim_all()["order-7"].messages) == 4


def test_messages_of_finished_instances_are_deleted_when_a_claim_comes_across_them():
    finish("order-7")
    deliver(connection, [Delivery(row("order-7").id, events.ExternalEvent(name="late", payload="1"))], NOW)
    assert not claim_all()
    assert not messages("order-7")


def test_thousands_of_messages_of_parked_and_finished_instances_do_not_keep_others_waiting():
    start("parked")
    park("parked")
    finish("finished")
    flood("parked", 2_000, now=NOW)
    flood("finished", 2_000, now=NOW)
    start("order-7", now=NOW + SECOND)
    assert set(claim_all(limit=10, now=NOW + SECOND)) == {"order-7"}
    assert not messages("finished")
    assert models.InboxMessage.objects.filter(held=False).count() == 1


def test_one_instance_with_thousands_of_messages_does_not_keep_others_waiting():
    running("flooded")
    flood("flooded", 5_000)
    start("order-7", now=NOW + SECOND)
    assert set(claim_all(limit=10, now=NOW + SECOND)) == {"flooded", "order-7"}


def test_messages_of_an_instance_that_another_worker_runs_do_not_keep_others_waiting():
    running("flooded")
    flood("flooded", 5_000)
    claim_all(worker=OTHER)
    start("order-7", now=NOW + SECOND)
    assert set(claim_all(limit=10, now=NOW + SECOND)) == {"order-7"}


def test_a_message_sent_just_before_the_end_reaches_nobody_and_blocks_nobody():
    (claimed,) = fresh("order-7")
    nudge("order-7")
    endings.terminate_instance("order-7", now=NOW, using=USING)
    deliver(connection, [Delivery(claimed.id, events.ExternalEvent(name="late", payload="1"))], NOW)
    start("other")
    assert set(claim_all()) == {"other"}


# Leases.


def test_renewing_extends_held_leases_by_one_statement(django_assert_num_queries):
    tokens = {each.id: each.lease_token for each in fresh("one", "two")}
    soon = NOW + 10 * SECOND
    with django_assert_num_queries(1):
        assert claims.renew_instances(WORKER, tokens, LEASE, soon, using=USING) == set()
    assert {row(each).lease_until for each in ("one", "two")} == {soon + LEASE}


@pytest.mark.parametrize("reason", ["another token", "another owner", "expired", "gone", "suspended"])
def test_renewing_says_which_leases_are_lost(reason):
    kept, lost = fresh("kept", "lost")
    tokens, now = {kept.id: kept.lease_token, lost.id: lost.lease_token}, NOW
    changes = {
        "another token": {"lease_token": 9},
        "another owner": {"lease_owner": OTHER},
        "expired": {"lease_until": NOW},
    }
    if reason == "gone":
        models.InboxMessage.objects.filter(instance=lost.id).delete()
        models.Execution.objects.filter(instance=lost.id).delete()
        models.Instance.objects.filter(id=lost.id)._raw_delete(USING)
    elif reason == "suspended":
        instances.suspend_instance("lost", now=NOW, using=USING)
    else:
        models.Instance.objects.filter(id=lost.id).update(**changes[reason])
    assert claims.renew_instances(WORKER, tokens, LEASE, now, using=USING) == {lost.id}
    assert row("kept").lease_until == NOW + LEASE


def test_renewing_past_the_original_expiry_keeps_the_instance():
    (claimed,) = fresh("order-7")
    now = NOW
    for _ in range(3):
        now += LEASE * 0.9
        assert not claims.renew_instances(WORKER, {claimed.id: claimed.lease_token}, LEASE, now, using=USING)
    assert not claim_all(worker=OTHER, now=now)
    committed(made(claimed), now=now)


# Histories and queues.


def test_histories_of_many_instances_are_read_by_one_query(django_assert_num_queries):
    ids = [running(f"order-{number}", *[task()] * number) for number in range(4)]
    with django_assert_num_queries(1):
        found = claims.load_histories([(pk, 1) for pk in ids], using=USING)
    assert [[each.seq for each in found[pk]] for pk in ids] == [list(range(1, number + 2)) for number in range(4)]


def test_a_history_that_cannot_be_decoded_is_an_error():
    pk = running("order-7", task())
    models.HistoryEvent.objects.filter(instance_id=pk, seq=2).update(kind="Nonsense")
    with pytest.raises(ValueError, match="Nonsense"):
        claims.load_histories([(pk, 1)], using=USING)


def test_queues_of_many_instances_are_read_by_one_query_oldest_first(django_assert_num_queries):
    one, two = running("one"), running("two")
    for instance_id, queue, payload in [
        *(("one", "a", str(number)) for number in range(4)),
        *(("two", "a", "9"), ("one", "b", "7"), ("one", "unread", "0")),
    ]:
        instances.enqueue_event(instance_id, queue, payload, now=NOW, using=USING)
    with django_assert_num_queries(1):
        found = claims.load_queued({one: {"a", "b"}, two: {"a", "none"}}, limit=3, using=USING)
    assert [(each.queue, each.payload) for each in found[one]] == [("a", "0"), ("a", "1"), ("a", "2"), ("b", "7")]
    assert [type(each) for each in found[two]] == [QueuedMessage]


# Cost.

FINISHED = 20_000


@pytest.fixture
def many_finished():
    """20,000 finished instances, and ten with messages; many more messages are held or not due."""
    start("parked")
    flood("parked", 2_000)
    park("parked")
    running("later")
    flood("later", 2_000, now=NOW + timedelta(days=1))
    for number in range(10):
        start(f"order-{number}")
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {FINISHED})
            INSERT INTO django_durable_instance
                (instance_id, orchestration, version, runtime_status, execution_number, history_length,
                 custom_status_version, revision, lease_token, turn_attempts, created_at, updated_at, completed_at)
            SELECT 'done-' || i, 'orders', '1.0.0', 'Completed', 1, 9, 0, 1, 1, 0, %s, %s, %s FROM n
            """,
            [str(NOW)] * 3,
        )
        cursor.execute("ANALYZE")


def explained(captured):
    """Return the plan of each captured query that begins with SELECT or WITH, as one line."""
    prefix = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    plans = []
    with connection.cursor() as cursor:
        for text in [each["sql"].strip() for each in captured.captured_queries]:
            if not text.startswith(("SELECT", "WITH")):
                continue
            cursor.execute(f"{prefix} {text}")
            plans.append(" | ".join(str(each[-1]) for each in cursor.fetchall()))
    return plans


def test_what_a_claim_reads_does_not_grow_with_finished_instances(many_finished, django_assert_num_queries):
    with django_assert_num_queries(3) as captured:
        assert len(claim_all(limit=10)) == 10
    look, lease, inbox = explained(captured)
    assert "durable_inbox_visible" in look
    for plan in (look, lease, inbox):
        assert "Seq Scan on django_durable_instance" not in plan, plan
        assert "SCAN i " not in f"{plan} ", plan


@pytest.mark.only_on("postgresql")
def test_a_claim_looks_up_the_instance_of_each_message_whatever_the_planner_would_rather(many_finished):
    """A plan for any parameters expects a third of the messages to be visible, and would read all instances."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = off")
    with CaptureQueriesContext(connection) as captured:
        assert len(claim_all(limit=10)) == 10
    look, *_ = explained(captured)
    assert "Nested Loop" in look, look
    assert "django_durable_instance_pkey" in look, look


def test_giving_back_the_leases_of_a_worker_reads_no_finished_instances(many_finished):
    assert len(claim_all(limit=10)) == 10
    with CaptureQueriesContext(connection) as captured:
        workers.release_leases(WORKER, NOW, using=USING)
    plan, *_ = explained(captured)
    assert "SubPlan" not in plan, plan  # What is asked of each instance.
    assert "SCAN django_durable_instance" not in plan, plan
    assert len(claim_all(worker=OTHER, limit=10)) == 10


# What a lease costs.


@pytest.fixture
def waits_for_the_disk():
    """The setting that a server has where nobody changed it; the server of the tests has another."""
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = on")
    yield
    with connection.cursor() as cursor:
        cursor.execute("RESET synchronous_commit")


def setting():
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        return cursor.fetchone()[0]


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_lease_does_not_wait_for_the_disk_and_what_follows_on_the_connection_does(waits_for_the_disk):
    with CaptureQueriesContext(connection) as seen:
        assert fresh("order-7")
    assert ["'synchronous_commit', 'off', TRUE" in each["sql"] for each in seen].count(True) == 1
    assert setting() == "on"


@pytest.mark.only_on("postgresql")
def test_a_lease_leaves_the_settings_of_an_open_transaction_alone(waits_for_the_disk):
    assert fresh("order-7")
    assert setting() == "on"


@pytest.mark.only_on("postgresql")
def test_pages_of_instances_have_room_for_the_next_update():
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE relname = %s", [models.Instance._meta.db_table])
        assert cursor.fetchone() == (["fillfactor=70"],)
