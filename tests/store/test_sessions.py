"""Sessions: activities that name one run on the worker that owns it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from django_durable import models
from django_durable.store import activities, sessions
from django_durable.store.records import SessionLimits, TagFilter

from .lives import LEASE, NOW, USING, WORKER
from .turn_rows import DONE, OTHER, claim_tasks, running, seqs, task

pytestmark = pytest.mark.django_db
IDLE = timedelta(minutes=5)
LIMITS = SessionLimits(max_sessions=2, idle_ms=300_000)
LATER = NOW + LEASE


def on(*names):
    """Start an instance whose activities (seq 2, 3, ...) are on these sessions; None is on none."""
    return running("order-7", *(task(session_id=name) for name in names))


def claimed(worker=WORKER, *, limits=LIMITS, now=NOW, **others):
    return claim_tasks(worker, sessions=limits, now=now, **others)


def owners():
    return dict(models.Session.objects.values_list("session_id", "worker_id"))


def finish(tasks, *, now=NOW):
    rows = [(each.key, each.lease_token, DONE) for each in tasks]
    assert not activities.finish_activities(rows, now, using=USING)


def renew(worker=WORKER, *, now=NOW):
    return sessions.renew_sessions(worker, LEASE, IDLE, now, using=USING)


# Who gets what.


def test_a_worker_without_sessions_is_given_no_task_with_one():
    on("s1", None)
    assert seqs(claimed(limits=None)) == [3]
    assert not owners()


def test_tasks_without_a_session_are_for_anyone():
    on(None, None)
    assert seqs(claimed(limit=1)) == [2]
    assert seqs(claimed(OTHER)) == [3]


def test_claims_without_sessions_cost_no_statement_for_them(django_assert_num_queries):
    running("order-7", task(), task())
    with django_assert_num_queries(3):
        claimed()


def test_the_first_claim_takes_the_session_and_later_ones_keep_it():
    on("s1", "s1", "s1")
    assert seqs(claimed(limit=1)) == [2]
    assert owners() == {"s1": WORKER}
    assert not claimed(OTHER)
    assert seqs(claimed()) == [3, 4]


def test_different_sessions_may_be_on_different_workers():
    on("s1", "s2", "s1", "s2")
    assert seqs(claimed(limit=1)) == [2]
    assert seqs(claimed(OTHER)) == [3, 5]
    assert seqs(claimed()) == [4]
    assert owners() == {"s1": WORKER, "s2": OTHER}


def test_tasks_of_a_session_come_in_the_order_in_which_they_were_scheduled():
    on(*["s1"] * 20)
    assert seqs(claimed(limit=5) + claimed(limit=100)) == list(range(2, 22))


def test_a_session_of_another_worker_does_not_keep_anything_else_waiting():
    on(*["s1"] * 500, None)
    claimed(OTHER, limit=1)
    assert seqs(claimed(limit=1)) == [502]


def test_sessions_and_tags_go_together():
    running("order-7", task(session_id="s1", tag="gpu"), task(session_id="s1"))
    assert seqs(claimed()) == [3]
    assert not claimed(OTHER, tags=TagFilter.ANY)
    assert seqs(claimed(tags=TagFilter.tags(["gpu"]))) == [2]


def test_two_processes_with_the_same_worker_id_share_its_sessions():
    on("s1", "s1")
    assert seqs(claimed(limit=1)) == [2]
    assert seqs(claimed(limit=1)) == [3]


# How many.


def test_a_worker_owns_no_more_sessions_than_allowed():
    on("s1", "s2", "s3", "s1", None)
    assert seqs(claimed()) == [2, 3, 5, 6]
    assert owners() == {"s1": WORKER, "s2": WORKER}
    assert seqs(claimed(OTHER)) == [4]


def test_at_its_limit_a_worker_is_still_given_what_lies_behind_sessions_it_may_not_have():
    on("s1", "s2", *[f"new-{number}" for number in range(300)], "s1", None)
    assert seqs(claimed(limit=2)) == [2, 3]
    assert seqs(claimed(limit=4)) == [304, 305]


def test_without_room_for_any_session_only_other_tasks_are_given():
    on("s1", None)
    assert seqs(claimed(limits=SessionLimits(max_sessions=0, idle_ms=1))) == [3]


# For how long.


def test_a_session_is_taken_over_when_its_lease_has_run_out():
    on("s1", "s1")
    assert seqs(claimed(limit=1)) == [2]
    assert not claimed(OTHER, now=LATER - timedelta(microseconds=1))
    assert seqs(claimed(OTHER, now=LATER)) == [3, 2], "with the task whose lease ran out as well"
    assert owners() == {"s1": OTHER}
    assert not claimed(now=LATER)


def test_a_dead_workers_running_task_keeps_its_own_lease_when_the_session_is_taken_over():
    on("s1", "s1")
    (running_task,) = claimed(limit=1)
    held = {running_task.key: running_task.lease_token}
    activities.renew_activities(WORKER, held, LEASE * 10, NOW, using=USING)
    assert seqs(claimed(OTHER, now=LATER)) == [3]


def test_renewing_keeps_a_session_past_its_first_lease():
    on("s1", "s1")
    claimed(limit=1)
    assert renew(now=NOW + LEASE * 0.9) == 1
    assert not claimed(OTHER, now=LATER)


def test_a_session_whose_lease_ran_out_cannot_be_renewed():
    on("s1")
    claimed()
    assert renew(now=LATER) == 0
    assert renew(OTHER) == 0


def test_renewing_costs_one_query_where_there_is_no_session(django_assert_num_queries):
    with django_assert_num_queries(1):
        assert renew() == 0


def test_a_session_with_open_activities_is_never_idle_and_one_without_is_let_go_after_a_while():
    on("s1", "s1")
    first = claimed(limit=1)
    now = NOW
    while now < NOW + 2 * IDLE:
        now += LEASE * 0.9
        assert renew(now=now) == 1
        activities.renew_activities(WORKER, {first[0].key: first[0].lease_token}, LEASE, now, using=USING)
    finish(first, now=now)
    finish(claimed(now=now), now=now)
    last = now
    while renew(now=now):
        now += LEASE * 0.9
    assert last + IDLE <= now <= last + IDLE + LEASE
    assert not owners()


def test_a_stopping_worker_gives_its_sessions_back_at_once():
    on("s1", "s1")
    (first,) = claimed(limit=1)
    activities.hand_back([(first.key, first.lease_token)], NOW, using=USING)
    sessions.release_sessions(WORKER, using=USING)
    assert seqs(claimed(OTHER)) == [2, 3]


def test_releasing_leaves_the_sessions_of_others():
    on("s1", "s2")
    claimed(limit=1)
    claimed(OTHER)
    sessions.release_sessions(WORKER, using=USING)
    assert owners() == {"s2": OTHER}


def test_expired_sessions_are_removed_and_can_be_taken_again():
    on("s1", "s2", "s1")
    claimed(limit=1)
    claimed(OTHER, now=NOW + LEASE / 2)
    assert sessions.delete_expired(LATER, using=USING) == 1
    assert owners() == {"s2": OTHER}
    assert seqs(claimed("third", now=LATER))[0] == 4
    assert owners()["s1"] == "third"


# Two leases: the task's and the session's.


@pytest.mark.parametrize(
    ("task_over", "session_over", "for_owner", "for_other"),
    [
        (False, False, [], []),
        (True, False, [2], []),
        (False, True, [], []),
        (True, True, [2], [2]),
    ],
)
def test_a_running_task_is_given_again_when_its_lease_is_over_to_whoever_may_have_the_session(
    task_over, session_over, for_owner, for_other
):
    for worker, expected in ((WORKER, for_owner), (OTHER, for_other)):
        models.ActivityTask.objects.all().delete()
        models.Session.objects.all().delete()
        pk = running(f"order of {worker}", task(session_id="s1"))
        claimed()
        if task_over:
            models.ActivityTask.objects.update(visible_at=NOW)
        if session_over:
            models.Session.objects.update(lease_until=NOW)
        assert seqs(claimed(worker)) == expected
        assert {each.instance_id for each in models.ActivityTask.objects.all()} == {pk}


def test_who_lost_a_session_still_finishes_the_task_it_holds():
    on("s1", "s1")
    first = claimed(limit=1)
    models.Session.objects.update(lease_until=NOW)
    assert seqs(claimed(OTHER)) == [3]
    finish(first)
    assert owners() == {"s1": OTHER}


def test_a_session_without_a_lease_can_be_taken_back_by_the_worker_that_lost_it():
    on("s1", "s1", "s1")
    claimed(limit=1)
    claimed(OTHER, limit=1, now=LATER)
    assert seqs(claimed(now=LATER + LEASE, limit=1)) == [4]
    assert owners() == {"s1": WORKER}
