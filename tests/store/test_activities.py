"""Activity tasks: who gets which, how they end, and that only who holds one can write."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from django_durable import models
from django_durable.engine import events
from django_durable.engine.errors import LeaseLost
from django_durable.engine.failures import Failure
from django_durable.store import activities, due, endings, expiry, instances, retention
from django_durable.store.records import TagFilter, TaskKey, TurnOutcome

from .lives import COMPLETED, LEASE, NOW, USING, WORKER, messages, nudge, park, row, start
from .turn_rows import DONE, OTHER, claim_all, claim_tasks, committed, made, put, running, seqs, task, tasks

pytestmark = pytest.mark.django_db
LATER = NOW + LEASE
SECOND = timedelta(seconds=1)


def finish(claimed, fact=None, *, now=NOW):
    """Record outcomes. Returns: the tasks that were lost."""
    rows = [(each.key, each.lease_token, fact or replace(DONE, scheduled_seq=each.key.seq)) for each in claimed]
    return activities.finish_activities(rows, now, using=USING)


# Which tasks.


def test_a_claim_brings_everything_that_running_a_task_takes():
    retry = {"max_attempts": 4}
    fact = task(retry=retry, start_to_close_ms=500, schedule_to_close_ms=60_000, input='{"a": 1}')
    pk = running("order-7", fact)
    (claimed,) = claim_tasks(now=NOW + SECOND)
    assert claimed.key == TaskKey(pk, 1, 2)
    assert (claimed.instance_id, claimed.orchestration, claimed.version) == ("order-7", "orders", "1.0.0")
    assert (claimed.name, claimed.input, claimed.tag, claimed.session_id) == ("charge", '{"a": 1}', None, None)
    assert (claimed.attempt, claimed.deliveries, claimed.lease_token, claimed.failures) == (1, 1, 1, [])
    assert (claimed.retry, claimed.start_to_close_ms, claimed.heartbeat) == (retry, 500, None)
    assert (claimed.created_at, claimed.expires_at) == (NOW, NOW + 60 * SECOND)


def test_tasks_are_given_out_by_priority_and_then_in_the_order_in_which_they_were_scheduled():
    running("order-7", task(), task(priority=5), task(), task(priority=-1), task(priority=5))
    assert seqs(claim_tasks(limit=2)) == [3, 6]
    assert seqs(claim_tasks(limit=2)) == [2, 4]
    assert seqs(claim_tasks(limit=2)) == [5]


def test_what_is_urgent_comes_first_however_much_waits():
    running("order-7", *[task()] * 200, task(priority=1))
    running("order-8", task(priority=2))
    assert [each.instance_id for each in claim_tasks(limit=1)] == ["order-8"]
    assert seqs(claim_tasks(limit=2)) == [202, 2]


def test_a_claimed_task_is_not_given_out_again_before_its_lease_ends():
    running("order-7", task())
    assert seqs(claim_tasks()) == [2]
    assert not claim_tasks(OTHER, now=LATER - timedelta(microseconds=1))
    (again,) = claim_tasks(OTHER, now=LATER)
    assert (again.lease_token, again.deliveries, again.attempt) == (2, 2, 1)


def test_a_look_that_finds_nothing_costs_one_query(django_assert_num_queries):
    with django_assert_num_queries(1):
        assert not claim_tasks()


def test_a_claim_costs_three_statements_however_many_tasks_it_takes(django_assert_num_queries):
    running("order-7", *[task()] * 40)
    running("order-8", *[task()] * 40)
    for count in (1, 60):
        with django_assert_num_queries(3):
            assert len(claim_tasks(limit=count)) == count


@pytest.mark.parametrize("limit", [0, -1])
def test_nobody_is_given_more_than_asked_for(limit):
    running("order-7", task())
    assert not claim_tasks(limit=limit)


@pytest.mark.parametrize("state", ["Suspended", "Blocked", "Completed", "continued"])
def test_a_task_can_be_claimed_and_finished_whatever_became_of_its_orchestration(state):
    running("order-7", task())
    nudge("order-7")
    if state == "Suspended":
        instances.suspend_instance("order-7", now=NOW, using=USING)
    elif state == "Blocked":
        park("order-7")
    else:
        claimed = claim_all()["order-7"]
        again = events.OrchestrationContinuedAsNew(input="1")
        start = events.OrchestrationStarted(
            name="orders", version="1.0.0", input="1", instance_id="order-7", execution=2, seed="s"
        )
        committed(made(claimed, COMPLETED) if state == "Completed" else made(claimed, again, next_start=start))
    assert not finish(claim_tasks())
    assert not tasks()


# Tags.


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (TagFilter.DEFAULT_ONLY, [2]),
        (TagFilter.ANY, [2, 3, 4, 5]),
        (TagFilter.NONE, []),
        (TagFilter.tags(["gpu"]), [3, 5]),
        (TagFilter.tags(["gpu", "eu"]), [3, 4, 5]),
        (TagFilter.tags(["none of these"]), []),
        (TagFilter.default_and(["eu"]), [2, 4]),
    ],
)
def test_a_worker_is_given_the_tags_it_serves(tags, expected):
    running("order-7", task(), task(tag="gpu"), task(tag="eu"), task(tag="gpu"))
    assert seqs(claim_tasks(tags=tags)) == expected


def test_tags_survive_a_claim_and_a_handing_back():
    running("order-7", task(tag="gpu"))
    (claimed,) = claim_tasks(tags=TagFilter.ANY)
    activities.hand_back([(claimed.key, claimed.lease_token)], NOW, using=USING)
    assert not claim_tasks()
    assert [each.tag for each in claim_tasks(tags=TagFilter.tags(["gpu"]))] == ["gpu"]


def test_workers_with_overlapping_tags_never_get_the_same_task():
    running("order-7", *(task(tag=tag) for tag in ("a", "b", "c") * 10))
    first = claim_tasks("w1", tags=TagFilter.tags(["a", "b"]), limit=15)
    second = claim_tasks("w2", tags=TagFilter.tags(["b", "c"]))
    third = claim_tasks("w3", tags=TagFilter.ANY)
    assert sorted(seqs([*first, *second, *third])) == list(range(2, 32))


def test_priorities_hold_across_the_tags_of_a_worker():
    running("order-7", task(tag="a"), task(tag="b", priority=1), task(tag="a", priority=2))
    assert seqs(claim_tasks(tags=TagFilter.ANY, limit=2)) == [4, 3]


def test_a_backlog_that_nobody_serves_is_not_read_by_those_who_serve_something_else(django_assert_num_queries):
    running("order-7", *[task(tag="gpu", priority=9)] * 2_000)
    running("order-8", task())
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    with django_assert_num_queries(3) as captured:
        assert len(claim_tasks()) == 1
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {captured.captured_queries[0]['sql']}")
            assert "durable_task_first" in str(cursor.fetchall())


# How they end.


def test_an_outcome_is_delivered_and_its_task_deleted_in_one_transaction(django_assert_max_num_queries):
    pk = running("order-7", *[task()] * 30)
    claimed = claim_tasks()
    with django_assert_max_num_queries(6):
        assert finish(claimed) == set()
    assert not tasks()
    delivered = claim_all()["order-7"].messages
    assert [each.fact.scheduled_seq for each in delivered] == list(range(2, 32))
    assert {each.execution_number for each in delivered} == {1}
    assert row("order-7").id == pk


def test_nobody_can_finish_a_task_twice():
    running("order-7", task())
    claimed = claim_tasks()
    assert finish(claimed) == set()
    assert finish(claimed) == {claimed[0].key}
    assert len(messages("order-7")) == 1


def test_a_stale_token_cannot_finish_a_task_that_was_taken_over():
    running("order-7", task())
    stale = claim_tasks()
    current = claim_tasks(OTHER, now=LATER)
    assert finish(stale, now=LATER) == {stale[0].key}
    assert not messages("order-7")
    assert finish(current, now=LATER) == set()


def test_a_result_after_the_lease_ran_out_is_lost_even_if_nobody_took_the_task():
    running("order-7", task())
    claimed = claim_tasks()
    assert finish(claimed, now=LATER) == {claimed[0].key}
    assert list(tasks()) == [claimed[0].key]
    assert finish(claimed, now=LATER - timedelta(microseconds=1)) == set()


def test_one_lost_task_does_not_keep_the_others_from_being_recorded():
    running("order-7", task(), task(), task())
    claimed = claim_tasks()
    models.ActivityTask.objects.filter(seq=3).delete()
    assert finish(claimed) == {claimed[1].key}
    assert [each.scheduled_seq for each in messages("order-7")] == [2, 4]


def test_the_task_of_a_deleted_instance_is_lost_and_does_not_reach_a_new_one_with_the_same_id():
    running("order-7", task())
    claimed = claim_tasks()
    retention.delete_instance("order-7", force=True, using=USING)
    start("order-7")
    assert finish(claimed) == {claimed[0].key}
    assert [each.kind for each in messages("order-7")] == ["OrchestrationStarted"]


def test_a_task_left_over_from_a_deleted_instance_is_harmless():
    running("order-7", task())
    running("order-8", task())
    models.InboxMessage.objects.all().delete()
    models.Execution.objects.filter(instance=row("order-7").id).delete()
    models.Instance.objects.filter(id=row("order-7").id)._raw_delete(USING)
    claimed = claim_tasks()
    assert [each.instance_id for each in claimed] == ["order-8"]
    orphan = next(key for key in tasks() if key != claimed[0].key)
    rows = [(orphan, 1, DONE), (claimed[0].key, 1, DONE)]
    assert activities.finish_activities(rows, NOW, using=USING) == set()
    assert len(messages("order-8")) == 1


def test_a_terminated_instance_takes_its_tasks_with_it_and_that_is_how_they_learn_of_it():
    running("order-7", task())
    (claimed,) = claim_tasks()
    endings.terminate_instance("order-7", now=NOW, using=USING)
    held = {claimed.key: claimed.lease_token}
    assert activities.find_lost(held, using=USING) == {claimed.key}
    assert activities.renew_activities(WORKER, held, LEASE, NOW, using=USING) == {claimed.key}
    assert finish([claimed]) == {claimed.key}


def test_a_task_that_was_never_started_can_be_failed_by_whoever_finds_its_time_is_up():
    running("order-7", task(schedule_to_close_ms=1_000), task(schedule_to_close_ms=1_000), task())
    claim_tasks(limit=1)
    failed = events.ActivityFailed(scheduled_seq=3, failure=Failure("TimeoutError", "late"), timed_out=True)
    found = expiry.find_expired(NOW + SECOND, limit=10, using=USING)
    assert seqs(found) == [3], "the other is leased"
    assert finish(found, failed, now=NOW + SECOND) == set()
    assert seqs(expiry.find_expired(LATER, limit=10, using=USING)) == [2], "its lease ran out"
    assert (
        finish(expiry.find_expired(LATER, limit=10, using=USING), replace(failed, scheduled_seq=2), now=LATER) == set()
    )
    assert [each.scheduled_seq for each in messages("order-7")] == [3, 2]


def test_a_task_that_was_claimed_since_cannot_be_failed_for_its_time():
    running("order-7", task(schedule_to_close_ms=1_000))
    found = expiry.find_expired(NOW + SECOND, limit=10, using=USING)
    claim_tasks()
    failed = events.ActivityFailed(scheduled_seq=2, failure=Failure("TimeoutError", "late"), timed_out=True)
    assert finish(found, failed, now=NOW + SECOND) == {found[0].key}


# In the transaction of the activity.


def test_an_outcome_and_what_an_activity_wrote_commit_together_or_not_at_all():
    running("order-7", task())
    (claimed,) = claim_tasks()

    def perform(written):
        with transaction.atomic():
            Group.objects.create(name=written)
            activities.finish_activity_in_transaction(claimed.key, claimed.lease_token, DONE, NOW, using=USING)

    perform("first")
    with pytest.raises(LeaseLost):
        perform("second")
    assert [each.name for each in Group.objects.all()] == ["first"]
    assert len(messages("order-7")) == 1


def test_an_atomic_activity_whose_task_was_taken_over_can_write_nothing():
    running("order-7", task())
    (stale,) = claim_tasks()
    claim_tasks(OTHER, now=LATER)
    with pytest.raises(LeaseLost):
        activities.finish_activity_in_transaction(stale.key, stale.lease_token, DONE, LATER, using=USING)
    assert not messages("order-7")


@pytest.mark.only_on("postgresql")
def test_an_atomic_activity_whose_lease_ran_out_can_write_nothing():
    running("order-7", task())
    (stale,) = claim_tasks()
    with pytest.raises(LeaseLost):
        activities.finish_activity_in_transaction(stale.key, stale.lease_token, DONE, LATER, using=USING)


@pytest.mark.only_on("sqlite")
def test_an_atomic_activity_longer_than_its_lease_is_recorded_where_nobody_else_could_write_meanwhile():
    running("order-7", task())
    (claimed,) = claim_tasks()
    activities.finish_activity_in_transaction(claimed.key, claimed.lease_token, DONE, LATER, using=USING)
    assert len(messages("order-7")) == 1


# Giving back.


def test_a_retry_is_the_next_attempt_and_its_deliveries_count_anew():
    running("order-7", task())
    claim_tasks()
    (claimed,) = claim_tasks(now=LATER)
    again_at = LATER + 10 * SECOND
    activities.retry_activities([(claimed.key, claimed.lease_token, again_at, '[{"attempt": 1}]')], using=USING)
    assert not claim_tasks(now=again_at - SECOND)
    assert due.next_due(LATER, using=USING) == again_at
    (again,) = claim_tasks(now=again_at)
    assert (again.attempt, again.deliveries, again.failures) == (2, 1, [{"attempt": 1}])


def test_what_is_handed_back_is_free_at_once_and_was_not_delivered():
    running("order-7", task())
    (claimed,) = claim_tasks()
    activities.hand_back([(claimed.key, claimed.lease_token)], NOW, using=USING)
    (again,) = claim_tasks(OTHER)
    assert (again.attempt, again.deliveries) == (1, 1)


def test_what_is_deferred_is_hidden_until_then_and_was_not_delivered():
    running("order-7", task())
    (claimed,) = claim_tasks()
    activities.defer([(claimed.key, claimed.lease_token)], NOW + 5 * SECOND, NOW, using=USING)
    assert not claim_tasks(OTHER, now=NOW + 4 * SECOND)
    (again,) = claim_tasks(OTHER, now=NOW + 5 * SECOND)
    assert again.deliveries == 1


@pytest.mark.parametrize("give_back", ["retry", "hand back", "defer"])
def test_whoever_gave_a_task_back_can_write_nothing_any_more(give_back):
    running("order-7", task())
    (claimed,) = claim_tasks()
    leased, due = [(claimed.key, claimed.lease_token)], NOW + SECOND

    def again():
        match give_back:
            case "retry":
                activities.retry_activities([(*leased[0], due, "[]")], using=USING)
            case "hand back":
                activities.hand_back(leased, due, using=USING)
            case "defer":
                activities.defer(leased, due, NOW, using=USING)

    again()
    again()
    assert finish([claimed]) == {claimed.key}
    assert activities.find_lost(dict(leased), using=USING) == {claimed.key}
    (next_one,) = claim_tasks(OTHER, now=due)
    again()
    assert tasks() == {claimed.key: OTHER}
    assert (next_one.attempt, next_one.deliveries) == (2 if give_back == "retry" else 1, 1)


def test_deliveries_are_never_negative():
    pk = running("order-7", task())
    models.ActivityTask.objects.update(lease_owner=WORKER, lease_token=1, deliveries=0)
    activities.hand_back([(TaskKey(pk, 1, 2), 1)], NOW, using=USING)
    assert models.ActivityTask.objects.get().deliveries == 0


def test_many_are_given_back_by_one_statement(django_assert_max_num_queries):
    running("order-7", *[task()] * 20)
    claimed = claim_tasks()
    with django_assert_max_num_queries(4):
        activities.hand_back([(each.key, each.lease_token) for each in claimed], NOW, using=USING)
    assert set(tasks().values()) == {None}


# Leases.


def test_leases_of_many_tasks_are_renewed_by_one_statement(django_assert_num_queries):
    running("order-7", *[task()] * 20)
    held = {each.key: each.lease_token for each in claim_tasks()}
    with django_assert_num_queries(1):
        assert not activities.renew_activities(WORKER, held, LEASE, NOW + 20 * SECOND, using=USING)
    assert not claim_tasks(OTHER, now=LATER)
    assert len(claim_tasks(OTHER, now=NOW + 20 * SECOND + LEASE)) == 20


def test_renewing_past_the_original_expiry_keeps_the_task():
    running("order-7", task())
    (claimed,) = claim_tasks()
    now = NOW
    for _ in range(3):
        now += LEASE * 0.9
        assert not activities.renew_activities(WORKER, {claimed.key: 1}, LEASE, now, using=USING)
    assert finish([claimed], now=now) == set()


@pytest.mark.parametrize("reason", ["canceled", "finished", "taken over", "expired", "another worker"])
def test_renewing_says_which_tasks_are_lost(reason):
    running("order-7", task(), task())
    kept, lost = claim_tasks()
    held, now, worker = {each.key: each.lease_token for each in (kept, lost)}, NOW, WORKER
    expected = {lost.key}
    match reason:
        case "canceled":
            models.ActivityTask.objects.filter(seq=lost.key.seq).delete()
        case "finished":
            finish([lost])
        case "taken over":
            models.ActivityTask.objects.filter(seq=lost.key.seq).update(visible_at=NOW)
            claim_tasks(OTHER)
        case "expired":
            models.ActivityTask.objects.filter(seq=lost.key.seq).update(visible_at=NOW)
        case "another worker":
            worker, expected = OTHER, {kept.key, lost.key}
    assert activities.renew_activities(worker, held, LEASE, now, using=USING) == expected


def test_looking_for_lost_tasks_finds_those_gone_or_with_another_token():
    running("order-7", task(), task(), task())
    kept, gone, taken = claim_tasks()
    models.ActivityTask.objects.filter(seq=gone.key.seq).delete()
    held = {kept.key: kept.lease_token, gone.key: gone.lease_token, taken.key: taken.lease_token - 1}
    assert activities.find_lost(held, using=USING) == {gone.key, taken.key}


def test_a_heartbeat_is_kept_for_the_next_attempt_and_extends_the_lease():
    running("order-7", task())
    (claimed,) = claim_tasks()
    at = NOW + 20 * SECOND
    assert activities.record_heartbeat(claimed.key, claimed.lease_token, '{"page": 3}', LEASE, at, using=USING)
    assert not claim_tasks(OTHER, now=LATER)
    (again,) = claim_tasks(OTHER, now=at + LEASE)
    assert again.heartbeat == '{"page": 3}'
    assert not activities.record_heartbeat(claimed.key, claimed.lease_token, "1", LEASE, at + LEASE, using=USING)


def test_what_becomes_due_next_is_a_retry_or_the_end_of_a_lease():
    assert due.next_due(NOW, using=USING) is None
    running("order-7", task(), task())
    assert due.next_due(NOW, using=USING) is None
    first, second = claim_tasks()
    assert due.next_due(NOW, using=USING) == LATER
    activities.defer([(first.key, first.lease_token)], NOW + SECOND, NOW, using=USING)
    assert due.next_due(NOW, using=USING) == NOW + SECOND
    assert second.key in tasks()


def test_a_turn_and_a_worker_that_finish_the_same_task_do_not_both_succeed():
    pk = running("order-7", task(), eager=frozenset([2]), keep_lease=True)
    key = TaskKey(pk, 1, 2)
    nudge("order-7")
    claimed = claim_all()["order-7"]
    assert activities.finish_activities([(key, 1, DONE)], NOW, using=USING) == set()
    assert put(made(claimed, DONE, finished_tasks=[(key, 1)])) == [TurnOutcome.LOST]
