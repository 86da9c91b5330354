"""The rows of worker processes, and what becomes of the leases of one that ended."""

from __future__ import annotations

import json
import os
from datetime import timedelta

import pytest

from django_durable import models
from django_durable.store import activities, claims, workers
from django_durable.store.records import SessionLimits, TagFilter, TaskKey, TurnOutcome

from .lives import LEASE, NOW, USING, WORKER, nudge, row
from .turn_rows import DONE, OTHER, claim_all, claim_tasks, fresh, made, put, running, task

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def test_a_worker_is_listed_with_what_it_says_of_itself():
    workers.register(WORKER, TagFilter.default_and(["gpu"]), 8, NOW, using=USING)
    (found,) = workers.list_workers(using=USING)
    assert (found.worker_id, found.pid, found.concurrency, found.stopping) == (WORKER, os.getpid(), 8, False)
    assert json.loads(found.tags) == {"any": False, "untagged": True, "tags": ["gpu"]}
    assert (found.started_at, found.heartbeat_at) == (NOW, NOW)


def test_a_restarted_worker_replaces_the_row_it_left():
    workers.register(WORKER, TagFilter.ANY, 8, NOW, using=USING)
    workers.note_stopping(WORKER, using=USING)
    workers.register(WORKER, TagFilter.ANY, 4, NOW + MINUTE, using=USING)
    (found,) = workers.list_workers(using=USING)
    assert (found.concurrency, found.stopping, found.started_at) == (4, False, NOW + MINUTE)


def test_a_heartbeat_says_whether_the_row_is_still_there():
    workers.register(WORKER, TagFilter.ANY, 8, NOW, using=USING)
    assert workers.heartbeat(WORKER, '{"commits": 3}', NOW + MINUTE, using=USING)
    (found,) = workers.list_workers(using=USING)
    assert (found.metrics, found.heartbeat_at) == ('{"commits": 3}', NOW + MINUTE)
    workers.remove(WORKER, using=USING)
    assert not workers.heartbeat(WORKER, "{}", NOW, using=USING)


def test_silent_workers_are_removed_and_others_stay():
    workers.register("silent", TagFilter.ANY, 8, NOW, using=USING)
    workers.register("alive", TagFilter.ANY, 8, NOW + MINUTE, using=USING)
    assert workers.remove_silent(NOW + MINUTE, using=USING) == 1
    assert [each.worker_id for each in workers.list_workers(using=USING)] == ["alive"]


def test_everything_that_an_ended_process_held_is_free_at_once():
    pk = running("held", task(), eager=frozenset([2]), keep_lease=True)
    (claimed,) = fresh("claimed")
    running("with session", task(session_id="s1"))
    limits = SessionLimits(max_sessions=1, idle_ms=1)
    claim_tasks(sessions=limits)
    workers.release_leases(WORKER, NOW, using=USING)
    nudge("held")
    assert set(claim_all(worker=OTHER)) == {"held", "claimed"}
    assert {each.instance_id for each in claim_tasks(OTHER, sessions=limits)} == {"held", "with session"}
    assert (row("held").id, row("claimed").id) == (pk, claimed.id)


def test_a_process_that_was_thought_to_have_ended_can_write_nothing_any_more():
    pk = running("order-7", task(), eager=frozenset([2]), keep_lease=True)
    nudge("order-7")
    claimed = claim_all()["order-7"]
    workers.release_leases(WORKER, NOW, using=USING)
    assert put(made(claimed)) == [TurnOutcome.LOST]
    assert activities.finish_activities([(TaskKey(pk, 1, 2), 1, DONE)], NOW, using=USING) == {TaskKey(pk, 1, 2)}
    assert claims.renew_instances(WORKER, {pk: claimed.lease_token}, LEASE, NOW, using=USING) == {pk}


def test_what_others_hold_stays_theirs():
    running("order-7", task())
    nudge("order-7")
    claim_all(worker=OTHER)
    claim_tasks(OTHER)
    workers.release_leases(WORKER, NOW, using=USING)
    assert row("order-7").lease_owner == OTHER
    assert models.ActivityTask.objects.get().lease_owner == OTHER
