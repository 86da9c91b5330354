"""Two at the same time: each test lets one thread in at the worst moment of the other, and commits for real."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction

from django_durable.engine import events
from django_durable.engine.errors import IllegalTransition
from django_durable.store import activities, endings, instances, retention, trees
from django_durable.store.records import TagFilter, TurnOutcome
from django_durable.store.transactions import write_transaction

from .lives import (
    COMPLETED,
    LEASE,
    NOW,
    USING,
    WORKER,
    activity,
    child,
    claim,
    commit,
    counts,
    finish,
    messages,
    nudge,
    start,
    turn,
)

pytestmark = pytest.mark.usefixtures("durable_db")


@contextmanager
def meanwhile(function: Callable[[], object]) -> Iterator[list[object]]:
    """Run a function on another thread; what it returned or raised is in the list when the block has ended."""
    results: list[object] = []

    def run() -> None:
        try:
            results.append(function())
        except Exception as error:
            results.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield results
    finally:
        thread.join()


def until_somebody_waits() -> None:
    """Return when another connection waits for a lock; on SQLite, where it waits to begin, return at once."""
    while connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted")
            if cursor.fetchone():
                return


def test_two_starts_at_the_same_time_create_one_instance():
    together = threading.Barrier(2)

    def run():
        together.wait()
        return start("order-7")

    with meanwhile(run) as others:
        mine = run()
    assert sorted([mine[1], others[0][1]]) == [False, True]
    assert mine[0] == others[0][0]


def test_a_start_that_waits_for_one_that_rolls_back_creates_the_instance():
    inserted = threading.Event()

    def second():
        inserted.wait()
        return start("order-7", input="2")[1]

    with meanwhile(second) as results, write_transaction(USING):
        start("order-7", input="1")
        inserted.set()
        transaction.set_rollback(True)
    assert results == [True]


def test_force_delete_prevents_a_late_commit_from_bringing_the_instance_back():
    start("order-7")
    claimed = claim("order-7")
    retention.delete_instance("order-7", force=True, using=USING)
    assert commit(claimed, child("kid"), activity(), COMPLETED) is TurnOutcome.LOST
    assert set(counts().values()) == {0}


@pytest.mark.parametrize("end", ["delete", "terminate"])
def test_a_child_spawned_just_before_its_tree_ends_goes_with_it(end, monkeypatch):
    start("root")
    claimed = claim("root")
    spawned, ending = threading.Event(), threading.Event()

    def spawn():
        with write_transaction(USING):
            outcome = commit(claimed, child("kid"))
            spawned.set()
            ending.wait()
            until_somebody_waits()
        return outcome

    def begin(using):
        ending.set()
        return write_transaction(using)

    module = retention if end == "delete" else endings
    monkeypatch.setattr(module, "write_transaction", begin)
    with meanwhile(spawn) as outcomes:
        spawned.wait()
        if end == "delete":
            assert retention.delete_instance("root", force=True, using=USING).instances_deleted == 2
            assert set(counts().values()) == {0}
        else:
            endings.terminate_instance("root", now=NOW, using=USING)
            assert counts()["InboxMessage"] == 0
    assert outcomes == [TurnOutcome.COMMITTED]


@pytest.mark.parametrize("end", ["delete", "terminate"])
def test_a_child_cannot_be_spawned_after_the_tree_walk(end, monkeypatch):
    start("root")
    claimed = claim("root")
    walked = threading.Event()
    walk = trees.descendants

    def descendants(*args, **kwargs):
        found = walk(*args, **kwargs)
        walked.set()
        return found

    def spawn():
        walked.wait()
        return commit(claimed, child("kid"))

    monkeypatch.setattr(trees, "descendants", descendants)
    with meanwhile(spawn) as outcomes:
        if end == "delete":
            retention.delete_instance("root", force=True, using=USING)
        else:
            endings.terminate_instance("root", now=NOW, using=USING)
    assert outcomes == [TurnOutcome.LOST]
    assert counts()["Instance"] == (0 if end == "delete" else 1)


def test_bulk_delete_leaves_a_root_alone_whose_descendant_started_a_child_meanwhile(monkeypatch):
    start("root")
    turn("root", child("left"), COMPLETED)
    turn("left", COMPLETED)
    finish("other")
    lock = trees.lock

    def late(condition, **kwargs):
        monkeypatch.setattr(trees, "lock", lock)
        # As a turn of `left` that was committed after the candidates were read would leave it.
        left = instances.models.Instance.objects.filter(instance_id="left")
        left.update(runtime_status="Running", completed_at=None)
        return lock(condition, **kwargs)

    monkeypatch.setattr(trees, "lock", late)
    assert retention.delete_instances(retention.InstanceFilter(), using=USING).instances_deleted == 1
    assert counts()["Instance"] == 2


def test_a_send_that_waits_for_a_deletion_leaves_nothing():
    finish("order-7")
    deleted, sending = threading.Event(), threading.Event()

    def delete():
        with write_transaction(USING):
            retention.delete_instance("order-7", using=USING)
            deleted.set()
            sending.wait()

    with meanwhile(delete) as results:
        deleted.wait()
        sending.set()
        with pytest.raises((IllegalTransition, instances.InstanceNotFound)):
            nudge("order-7")
    assert results == [None]
    assert set(counts().values()) == {0}


@pytest.mark.parametrize("send", ["event", "message", "cancel"])
def test_a_send_to_what_is_being_deleted_finds_no_instance(send):
    start("order-7")
    deleted, sending = threading.Event(), threading.Event()
    sends = {
        "event": lambda: nudge("order-7"),
        "message": lambda: instances.enqueue_event("order-7", "jobs", "1", now=NOW, using=USING),
        "cancel": lambda: endings.cancel_instance("order-7", now=NOW, using=USING),
    }

    def delete():
        with write_transaction(USING):
            retention.delete_instance("order-7", force=True, using=USING)
            deleted.set()
            sending.wait()
            until_somebody_waits()

    with meanwhile(delete) as results:
        deleted.wait()
        sending.set()
        with pytest.raises(instances.InstanceNotFound):
            sends[send]()
    assert results == [None]
    assert set(counts().values()) == {0}


def test_a_deletion_waits_for_a_send_and_takes_the_message_along():
    start("order-7")
    sent, deleting = threading.Event(), threading.Event()

    def send():
        with write_transaction(USING):
            nudge("order-7")
            sent.set()
            deleting.wait()
            until_somebody_waits()

    with meanwhile(send) as results:
        sent.wait()
        deleting.set()
        deleted = retention.delete_instance("order-7", force=True, using=USING)
    assert results == [None]
    assert deleted.queue_messages_deleted == 2
    assert set(counts().values()) == {0}


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("end", ["delete", "terminate"])
def test_an_outcome_that_is_being_recorded_while_its_instance_ends_leaves_nothing(end):
    start("order-7")
    turn("order-7", activity())
    (task,) = activities.claim_activities(WORKER, tags=TagFilter.ANY, limit=1, lease=LEASE, now=NOW, using=USING)
    recorded = threading.Event()

    def record():
        with write_transaction(USING):
            done = events.ActivityCompleted(scheduled_seq=task.key.seq, result="1")
            lost = activities.finish_activities([(task.key, task.lease_token, done)], NOW, using=USING)
            recorded.set()
            until_somebody_waits()
        return lost

    with meanwhile(record) as results:
        recorded.wait()
        if end == "delete":
            retention.delete_instance("order-7", force=True, using=USING)
        else:
            endings.terminate_instance("order-7", now=NOW, using=USING)
    assert results == [set()]
    assert (counts()["ActivityTask"], counts()["InboxMessage"]) == (0, 0)


def test_a_suspend_that_waits_for_a_commit_takes_effect_after_it(monkeypatch):
    start("order-7")
    claimed = claim("order-7")
    committed, suspending = threading.Event(), threading.Event()

    def work():
        with write_transaction(USING):
            outcome = commit(claimed)
            committed.set()
            suspending.wait()
            until_somebody_waits()
        return outcome

    def begin(using):
        suspending.set()
        return write_transaction(using)

    monkeypatch.setattr(instances, "write_transaction", begin)
    with meanwhile(work) as outcomes:
        committed.wait()
        instances.suspend_instance("order-7", now=NOW, using=USING)
    assert outcomes == [TurnOutcome.COMMITTED]
    found = instances.models.Instance.objects.get()
    assert (found.runtime_status, found.history_length) == ("Suspended", 1)
    monkeypatch.setattr(instances, "write_transaction", write_transaction)
    nudge("order-7")
    assert len(messages("order-7")) == 1
