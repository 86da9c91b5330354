"""Several workers at the same time, each on a connection of its own: nobody gets what another has, nobody waits."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection, transaction

from django_durable import models
from django_durable.engine import events
from django_durable.store import activities, claims, instances
from django_durable.store.inbox import Delivery, deliver
from django_durable.store.records import SessionLimits, TaskKey, TurnOutcome
from django_durable.store.starts import NewInstance, insert_instances
from django_durable.store.transactions import write_transaction

from .lives import LEASE, NOW, USING, WORKER, messages, nudge, row, start
from .test_races import meanwhile
from .turn_rows import DONE, OTHER, claim_all, claim_tasks, committed, made, put, running, seqs, task

pytestmark = pytest.mark.usefixtures("durable_db")


def start_many(count):
    new = [
        NewInstance(instance_id=f"order-{number}", orchestration="o", version="1.0.0", input="1", seed="s")
        for number in range(count)
    ]
    with write_transaction(USING) as open_connection:
        insert_instances(open_connection, new, NOW)


def all_at_once(function, workers=4):
    """Run a function for several workers at the same moment. Returns: what each returned."""
    together = threading.Barrier(workers)
    results = []

    def run(worker):
        together.wait(timeout=30)
        results.append(function(worker))

    def nest(left):
        if not left:
            return
        with meanwhile(lambda: run(f"worker-{left}")) as raised:
            nest(left - 1)
        assert raised == [None], raised

    nest(workers)
    return results


def test_workers_that_claim_at_the_same_time_get_different_instances_and_together_all():
    start_many(60)
    claimed = all_at_once(lambda worker: list(claim_all(worker=worker, limit=25)))
    counts = Counter(each for names in claimed for each in names)
    assert set(counts.values()) == {1}
    assert len(counts) == 60


def test_workers_that_claim_at_the_same_time_get_different_tasks_and_together_all():
    running("order-7", *[task()] * 60)
    claimed = all_at_once(lambda worker: seqs(claim_tasks(worker, limit=25)))
    counts = Counter(each for found in claimed for each in found)
    assert set(counts.values()) == {1}
    assert len(counts) == 60


def test_a_session_that_several_workers_want_at_the_same_time_has_one_owner():
    running("order-7", *[task(session_id="s1")] * 8)
    limits = SessionLimits(max_sessions=5, idle_ms=1)
    claimed = all_at_once(lambda worker: seqs(claim_tasks(worker, sessions=limits)))
    assert sorted(claimed, key=len) == [[], [], [], list(range(2, 10))]
    assert models.Session.objects.count() == 1


def test_every_turn_of_every_instance_is_committed_once_under_contention():
    """Four workers drain what there is; each message must be taken by exactly one committed turn."""
    start_many(20)

    def drain(worker):
        commits = 0
        while claimed := claim_all(worker=worker, limit=3):
            turns = [
                made(each, task(), *[events.ExternalSubscribed(name="go")] * (len(each.messages) - 1))
                for each in claimed.values()
            ]
            commits += sum(each is TurnOutcome.COMMITTED for each in put(*turns, worker=worker))
        return commits

    assert sum(all_at_once(drain)) == 20
    assert models.HistoryEvent.objects.filter(kind="OrchestrationStarted").count() == 20
    assert models.ActivityTask.objects.count() == 20
    assert not models.InboxMessage.objects.exists()


def test_renewing_and_committing_at_the_same_time_do_not_get_in_each_others_way():
    names = [f"order-{number}" for number in range(30)]
    held = [running(each, task(), eager=frozenset([2]), keep_lease=True) for each in names]
    tokens = dict.fromkeys(held, 1)
    keys = {TaskKey(pk, 1, 2): 1 for pk in held}

    def renew():
        lost = [claims.renew_instances(WORKER, tokens, LEASE, NOW, using=USING) for _ in range(10)]
        gone = [activities.renew_activities(WORKER, keys, LEASE, NOW, using=USING) for _ in range(10)]
        return lost, gone

    with meanwhile(renew) as renewed:
        for turn in range(10):
            subscribed = events.ExternalSubscribed(name="go")
            rows = models.Instance.objects.filter(id__in=held).order_by("-id")
            turns = [made(_held(each), subscribed, keep_lease=True) for each in rows]
            assert put(*turns) == [TurnOutcome.COMMITTED] * 30, turn
    assert renewed == [([set()] * 10, [set()] * 10)]


def _held(found):
    return claims.ClaimedInstance(
        id=found.id,
        instance_id=found.instance_id,
        orchestration=found.orchestration,
        version=found.version,
        runtime_status=found.runtime_status,
        execution_number=found.execution_number,
        history_length=found.history_length,
        lease_token=found.lease_token,
        previous_token=found.lease_token,
        turn_attempts=0,
    )


@pytest.mark.only_on("postgresql")
def test_a_sender_inside_a_long_transaction_keeps_no_turn_waiting():
    running("order-7")
    nudge("order-7")
    with transaction.atomic():
        instances.raise_event("order-7", "mine", "1", now=NOW, using=USING)

        def another_worker():
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '2s'")
            claimed = claim_all()["order-7"]
            committed(made(claimed, task()))
            return [each.fact.name for each in claimed.messages]

        with meanwhile(another_worker) as results:
            pass
        assert results == [["nudge"]]
    assert [each.fact.name for each in claim_all()["order-7"].messages] == ["mine"]


@pytest.mark.only_on("postgresql")
def test_a_task_that_runs_in_an_open_transaction_can_be_renewed_and_canceled_meanwhile():
    pk = running("order-7", task(), task())
    running_task, canceled = claim_tasks()
    held = {each.key: each.lease_token for each in (running_task, canceled)}

    def leases():
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        lost = activities.renew_activities(WORKER, held, LEASE, NOW, using=USING)
        models.ActivityTask.objects.filter(seq=canceled.key.seq).delete()
        return lost

    with transaction.atomic():
        assert not activities.find_lost(held, using=USING)
        with meanwhile(leases) as lost:
            pass
        assert lost == [set()]
        activities.finish_activity_in_transaction(running_task.key, running_task.lease_token, DONE, NOW, using=USING)
    assert activities.finish_activities([(canceled.key, canceled.lease_token, DONE)], NOW, using=USING) == {
        canceled.key
    }
    assert len(messages("order-7")) == 1
    assert row("order-7").id == pk


@pytest.mark.only_on("postgresql")
def test_a_row_that_is_locked_counts_as_held_when_leases_are_renewed():
    pk = running("order-7", task(), eager=frozenset([2]), keep_lease=True)
    with transaction.atomic():
        models.Instance.objects.select_for_update().get(id=pk)
        models.ActivityTask.objects.select_for_update().get(seq=2)

        def renew():
            keys = {TaskKey(pk, 1, 2): 1}
            return (
                claims.renew_instances(WORKER, {pk: 1}, LEASE, NOW, using=USING),
                activities.renew_activities(WORKER, keys, LEASE, NOW, using=USING),
            )

        with meanwhile(renew) as lost:
            pass
    assert lost == [(set(), set())]


@pytest.mark.only_on("postgresql")
def test_a_message_is_not_held_by_a_claim_that_saw_its_instance_before_it_was_resumed(monkeypatch):
    start("order-7")
    instances.suspend_instance("order-7", now=NOW, using=USING)
    look = claims._candidates

    def resumed_meanwhile(*args):
        found = look(*args)
        with meanwhile(lambda: instances.resume_instance("order-7", now=NOW, using=USING)):
            pass
        return found

    monkeypatch.setattr(claims, "_candidates", resumed_meanwhile)
    claim_all()
    assert not models.InboxMessage.objects.filter(held=True).exists()


def test_an_instance_that_another_worker_ran_between_the_look_and_the_lease_is_not_claimed_for_nothing(monkeypatch):
    running("order-7")
    nudge("order-7")
    before = row("order-7").lease_token
    look = claims._candidates

    def ran_meanwhile(*args):
        found = look(*args)
        monkeypatch.setattr(claims, "_candidates", look)
        with meanwhile(lambda: committed(made(claim_all(worker=OTHER)["order-7"], task()), worker=OTHER)) as raised:
            pass
        assert raised == [None]
        return found

    monkeypatch.setattr(claims, "_candidates", ran_meanwhile)
    assert not claim_all()
    found = row("order-7")
    assert (found.lease_owner, found.lease_token, found.turn_attempts) == (None, before + 1, 0)


def taken_meanwhile(monkeypatch, function):
    """Run a function on another thread once, after the next look for tasks and before anything is leased."""
    look = activities.due_tasks

    def wrapped(*args, **others):
        found = look(*args, **others)
        monkeypatch.setattr(activities, "due_tasks", look)
        with meanwhile(function) as raised:
            pass
        assert not isinstance(raised[0], Exception), raised
        return found

    monkeypatch.setattr(activities, "due_tasks", wrapped)


def test_a_task_that_another_worker_leased_between_the_look_and_the_lease_stays_its_own(monkeypatch):
    running("order-7", task(), task(), task())
    taken_meanwhile(monkeypatch, lambda: claim_tasks(OTHER, limit=2))
    assert seqs(claim_tasks()) == [4]
    assert sorted(models.ActivityTask.objects.values_list("lease_owner", flat=True)) == [WORKER, OTHER, OTHER]


def test_whoever_comes_too_late_for_what_it_saw_looks_again(monkeypatch):
    running("order-7", *[task()] * 40)
    taken_meanwhile(monkeypatch, lambda: claim_tasks(OTHER, limit=8))
    assert seqs(claim_tasks(limit=2)) == [10, 11]


def test_a_session_that_another_worker_took_between_the_look_and_the_lease_stays_its_own(monkeypatch):
    running("order-7", task(session_id="s1"), task(session_id="s1"), task())
    limits = SessionLimits(max_sessions=1, idle_ms=1)
    taken_meanwhile(monkeypatch, lambda: claim_tasks(OTHER, limit=1, sessions=limits))
    assert seqs(claim_tasks(sessions=limits)) == [4]
    assert models.Session.objects.get().worker_id == OTHER


def test_an_instance_whose_messages_vanish_under_a_claim_is_released_again(monkeypatch):
    start("order-7")
    lease = claims._lease

    def emptied(*args):
        taken = lease(*args)
        models.InboxMessage.objects.all().delete()
        return taken

    monkeypatch.setattr(claims, "_lease", emptied)
    assert not claim_all()
    assert (row("order-7").lease_owner, row("order-7").turn_attempts) == (None, 0)


def test_a_message_committed_while_a_turn_is_being_committed_is_for_the_next_turn():
    running("order-7")
    nudge("order-7")
    claimed = claim_all()["order-7"]

    def send():
        with write_transaction(USING) as open_connection:
            deliver(open_connection, [Delivery(claimed.id, events.ExternalEvent(name="late", payload="1"))], NOW)

    with meanwhile(send):
        committed(made(claimed, task()))
    assert [each.fact.name for each in claim_all()["order-7"].messages] == ["late"]


def test_a_worker_that_stalled_past_its_lease_can_commit_nothing_when_it_wakes_up():
    pk = running("order-7", task(), eager=frozenset([2]), keep_lease=True)
    nudge("order-7")
    stale = claim_all()["order-7"]
    woken = NOW + LEASE + timedelta(seconds=1)

    def other_worker():
        assert [each.key for each in claim_tasks(OTHER, now=woken)] == [TaskKey(pk, 1, 2)]
        committed(made(claim_all(worker=OTHER, now=woken)["order-7"], task("next")), worker=OTHER, now=woken)

    with meanwhile(other_worker) as raised:
        pass
    assert raised == [None]
    assert put(made(stale, task("stale")), now=woken) == [TurnOutcome.LOST]
    assert activities.finish_activities([(TaskKey(pk, 1, 2), 1, DONE)], woken, using=USING) == {TaskKey(pk, 1, 2)}
    assert claims.renew_instances(WORKER, {pk: stale.lease_token}, LEASE, woken, using=USING) == {pk}
    assert models.ActivityTask.objects.filter(name="stale").count() == 0
