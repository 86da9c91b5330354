"""Committing turns: all or nothing, by whoever holds the lease, at a constant number of statements."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection

from django_durable import models
from django_durable.engine import events
from django_durable.engine.events import HistoryEvent, OrchestrationStarted
from django_durable.engine.failures import Failure
from django_durable.engine.states import RuntimeStatus
from django_durable.store import claims, due, instances, sql, turns
from django_durable.store.records import TaskKey, TurnOutcome
from django_durable.store.starts import NewInstance, insert_instances

from .lives import COMPLETED, FAILED, LEASE, NOW, USING, WORKER, child, counts, kinds, messages, nudge, row, start
from .turn_rows import DONE, OTHER, claim_all, claim_tasks, committed, fresh, made, put, running, task, tasks

pytestmark = pytest.mark.django_db
LATER = NOW + LEASE
COMMITTED, LOST = TurnOutcome.COMMITTED, TurnOutcome.LOST
TIMER = events.TimerCreated(duration_ms=60_000, fire_at_ms=int((NOW + timedelta(minutes=1)).timestamp() * 1000))
EVERY_KIND = (
    *(task(), task("other"), events.ActivityCancelRequested(scheduled_seq=2), TIMER),
    *(events.TimerCanceled(timer_seq=3), events.CustomStatusUpdated(value='"half"')),
    *(events.KeyValueSet(key="a", value="1"), events.KeyValueCleared(key="b"), events.ExternalSubscribed(name="go")),
)


def statements(captured):
    """Return what was executed, without savepoints and without hints to listeners."""
    texts = [" ".join(each["sql"].split()).partition(" times: ") for each in captured.captured_queries]
    texts = [many or one for one, _, many in texts]
    return [each for each in texts if not each.startswith(("SAVEPOINT", "RELEASE")) and "pg_notify" not in each]


# How much a commit costs.


@pytest.mark.parametrize("count", [1, 50])
def test_a_step_of_a_chain_costs_the_same_however_many_instances_take_it(count, django_assert_max_num_queries):
    claimed = fresh(*(f"order-{number}" for number in range(count)))
    committed(*(made(each, task(), eager=frozenset([2]), keep_lease=True) for each in claimed))
    steps = [
        made(
            replace(each, history_length=2, messages=[]),
            *(DONE, task("next")),
            finished_tasks=[(TaskKey(each.id, 1, 2), 1)],
            eager=frozenset([4]),
            keep_lease=True,
        )
        for each in claimed
    ]
    with django_assert_max_num_queries(100) as captured:
        committed(*steps)
    writes = statements(captured)
    parts = writes if connection.vendor == "sqlite" else re.split(r", part\d AS \(", *writes)
    update, delete, insert_events, insert_tasks = (part.removeprefix("WITH part0 AS (").strip() for part in parts)
    assert "UPDATE django_durable_instance" in update
    assert delete.startswith("DELETE FROM django_durable_activitytask")
    assert insert_events.startswith("INSERT INTO django_durable_historyevent")
    assert insert_tasks.startswith("INSERT INTO django_durable_activitytask")
    assert len(captured.captured_queries) == (4 if connection.vendor == "sqlite" else 1) + 2, (
        "a savepoint here, a transaction in a worker, and no hint to anybody"
    )
    assert models.HistoryEvent.objects.count() == 4 * count


@pytest.mark.only_on("postgresql")
def test_the_text_of_a_busy_round_is_one_that_the_driver_keeps():
    """It starts, goes on with and ends chains. psycopg parses texts of more than 4,096 characters anew each time."""
    begun, on, done = fresh("order-1", "order-2", "order-3")
    committed(*(made(each, task(), eager=frozenset([2]), keep_lease=True) for each in (on, done)))
    later = [replace(each, history_length=2, messages=[]) for each in (on, done)]
    finished = [[(TaskKey(each.id, 1, 2), 1)] for each in later]
    texts = []

    def noted(execute, text, params, many, context):
        texts.append(text)
        return execute(text, params, many, context)

    with connection.execute_wrapper(noted):
        committed(
            made(begun, task(), consumed=[each.id for each in begun.messages]),
            made(later[0], DONE, task("next"), finished_tasks=finished[0], eager=frozenset([4]), keep_lease=True),
            made(later[1], DONE, COMPLETED, finished_tasks=finished[1]),
        )
    notified = len(", pg_notify(%s, %s)") * 2  # By a statement of its own here, within the transaction of the test.
    assert len(max(texts, key=len)) + notified <= 4_096


def rich(claimed, number):
    """A commit that writes every kind of thing there is."""
    chained = events.OrchestrationChained(name="audit", version="1.0.0", instance_id=f"audit-{number}", input="1")
    return made(
        replace(claimed, history_length=3),
        *(*EVERY_KIND, child(f"kid-{number}"), chained, DONE),
        events.SubOrchestrationCancelRequested(scheduled_seq=3, instance_id=f"old-kid-{number}"),
    )


def ends(claimed, number):
    fact = [FAILED, COMPLETED][number % 2]
    return made(replace(claimed, history_length=3), child(f"late-kid-{number}"), task(), fact)


def continues(claimed, number):
    start = OrchestrationStarted(
        name="orders", version="2.0.0", input="2", instance_id=claimed.instance_id, execution=2, seed="s"
    )
    again = events.OrchestrationContinuedAsNew(input="2")
    return made(replace(claimed, history_length=3), again, next_start=start, next_version="2.0.0")


@pytest.mark.parametrize("kind", [rich, ends, continues])
def test_a_batch_costs_as_many_statements_as_two_turns_whatever_they_write(kind, django_assert_max_num_queries):
    costs = []
    for count in (2, 20):
        names = [f"{kind.__name__}-{count}-{number}" for number in range(count)]
        claimed = fresh(*names)
        committed(
            *(
                made(each, task(), child(f"old-kid-{count}-{number}"), keep_lease=True)
                for number, each in enumerate(claimed)
            )
        )
        with django_assert_max_num_queries(100) as captured:
            committed(*(kind(each, 100 * count + number) for number, each in enumerate(claimed)))
        costs.append([each.split()[:3] for each in statements(captured)])
    assert costs[0] == costs[1]


# All or nothing.


def test_a_commit_writes_everything_of_a_turn():
    (claimed,) = fresh("order-7")
    committed(made(claimed, *EVERY_KIND, child("kid")))
    found = row("order-7")
    assert (found.runtime_status, found.history_length, found.revision) == ("Running", 11, 2)
    assert (found.custom_status, found.custom_status_version) == ('"half"', 1)
    assert (found.started_at, found.updated_at, found.completed_at) == (NOW, NOW, None)
    assert [each.kind for each in messages("order-7")] == ["TimerFired"]
    assert list(tasks()) == [TaskKey(claimed.id, 1, 3)], "the other one was taken back"
    assert dict(models.KeyValue.objects.values_list("key", "value")) == {"a": "1"}
    assert row("kid").parent_id == claimed.id
    assert (
        claims.load_histories([(claimed.id, 1)], using=USING)[claimed.id]
        == made(claimed, *EVERY_KIND, child("kid")).events
    )


def test_nothing_of_a_turn_is_written_when_one_of_its_statements_fails():
    pk = running("order-7")
    nudge("order-7")
    claimed = claim_all()["order-7"]
    models.HistoryEvent.objects.create(
        instance_id=pk, execution_number=1, seq=4, kind="ExternalSubscribed", recorded_at=NOW
    )
    before = counts()
    (outcome,) = put(made(claimed, task(), *EVERY_KIND, child("kid")))
    assert isinstance(outcome.error, DatabaseError)
    assert counts() == before
    found = row("order-7")
    assert (found.history_length, found.lease_token, found.lease_owner) == (1, claimed.lease_token, WORKER)


def test_an_event_whose_place_is_taken_is_refused():
    pk = running("order-7")
    nudge("order-7")
    claimed = claim_all()["order-7"]
    models.HistoryEvent.objects.create(instance_id=pk, execution_number=1, seq=2, kind="PatchMarked", recorded_at=NOW)
    (outcome,) = put(made(claimed, task()))
    assert outcome is not COMMITTED
    assert outcome.error is not None


def test_one_turn_that_lost_its_lease_harms_only_itself():
    first, lost, last = fresh("first", "lost", "last")
    instances.suspend_instance("lost", now=NOW, using=USING)
    assert put(made(first), made(lost, task(), child("kid")), made(last)) == [COMMITTED, LOST, COMMITTED]
    assert [kinds(each) for each in ("first", "lost", "last")] == [
        ["OrchestrationStarted"],
        [],
        ["OrchestrationStarted"],
    ]
    assert not tasks()


def test_one_turn_that_the_database_refuses_harms_only_itself():
    first, bad, last = fresh("first", "bad", "last")
    models.HistoryEvent.objects.create(
        instance_id=bad.id, execution_number=1, seq=2, kind="PatchMarked", recorded_at=NOW
    )
    outcomes = put(made(first, task()), made(bad, task()), made(last, task()))
    assert [each is COMMITTED for each in outcomes] == [True, False, True]
    assert isinstance(outcomes[1].error, DatabaseError)
    assert {key.instance for key in tasks()} == {first.id, last.id}


def test_a_turn_with_text_that_no_database_stores_harms_only_itself():
    good, bad = fresh("good", "bad")
    broken = events.KeyValueSet(key="\ud800", value="1")
    outcomes = put(made(good), made(bad, broken))
    assert outcomes[0] is COMMITTED
    assert outcomes[1].error is not None
    assert row("bad").history_length == 0


def test_an_empty_batch_is_no_commit(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert put() == []


# Whose turn it is.


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("another token", {"lease_token": 7}),
        ("another place in the history", {"history_length": 5}),
        ("another execution", {"execution_number": 2}),
    ],
)
def test_a_commit_that_starts_from_something_else_is_lost(what, change):
    (claimed,) = fresh("order-7")
    before = counts()
    assert put(replace(made(claimed, task()), **change)) == [LOST]
    assert counts() == before


def test_a_commit_of_another_worker_is_lost():
    (claimed,) = fresh("order-7")
    assert put(made(claimed), worker=OTHER) == [LOST]


def test_a_commit_after_the_lease_ran_out_is_lost_even_if_nobody_took_over():
    (claimed,) = fresh("order-7")
    assert put(made(claimed), now=LATER) == [LOST]
    assert put(made(claimed), now=LATER - timedelta(microseconds=1)) == [COMMITTED]


def test_two_commits_with_the_same_token_never_both_succeed():
    (claimed,) = fresh("order-7")
    assert put(made(claimed, task(), keep_lease=True)) == [COMMITTED]
    assert put(made(claimed, task(), keep_lease=True)) == [LOST]
    assert len(tasks()) == 1


def test_a_stale_token_cannot_commit_after_another_worker_took_over():
    (stale,) = fresh("order-7")
    current = claim_all(worker=OTHER, now=LATER)["order-7"]
    assert put(made(stale, task()), now=LATER) == [LOST]
    assert put(made(current, task()), worker=OTHER, now=LATER) == [COMMITTED]


@pytest.mark.parametrize("status", [RuntimeStatus.SUSPENDED, RuntimeStatus.BLOCKED, RuntimeStatus.COMPLETED])
def test_a_turn_is_committed_only_while_the_status_allows_one(status):
    (claimed,) = fresh("order-7")
    ended = NOW if status is RuntimeStatus.COMPLETED else None
    models.Instance.objects.filter(id=claimed.id).update(runtime_status=status, completed_at=ended)
    assert put(made(claimed)) == [LOST]


def test_a_commit_releases_the_lease_and_keeps_it_only_when_asked():
    released, kept = fresh("released", "kept")
    committed(made(released), made(kept, keep_lease=True), now=NOW + timedelta(seconds=10))
    assert (row("released").lease_owner, row("released").lease_until) == (None, None)
    assert (row("kept").lease_owner, row("kept").lease_until) == (WORKER, NOW + timedelta(seconds=10) + LEASE)
    assert row("kept").lease_token == kept.lease_token, "the next turn is committed with the same token"


def test_a_commit_starts_the_count_of_attempts_anew():
    fresh("order-7")
    claimed = claim_all()["order-7"]
    assert claimed.turn_attempts == 2
    committed(made(claimed))
    assert row("order-7").turn_attempts == 0


# Messages.


def test_messages_that_arrive_during_a_turn_survive_its_commit():
    (claimed,) = fresh("order-7")
    nudge("order-7")
    committed(made(claimed))
    assert [each.kind for each in messages("order-7")] == ["ExternalEvent"]
    assert [each.fact.kind for each in claim_all()["order-7"].messages] == ["ExternalEvent"]


def test_only_what_a_turn_took_from_a_queue_is_deleted():
    (claimed,) = fresh("order-7")
    for payload in ("1", "2"):
        instances.enqueue_event("order-7", "chat", payload, now=NOW, using=USING)
    first, second = claims.load_queued({claimed.id: {"chat"}}, using=USING)[claimed.id]
    committed(made(claimed, dequeued=[first.id]))
    assert claims.load_queued({claimed.id: {"chat"}}, using=USING) == {claimed.id: [second]}


def test_a_turn_that_records_nothing_only_takes_its_messages():
    running("order-7")
    nudge("order-7")
    committed(made(claim_all()["order-7"]))
    assert (row("order-7").runtime_status, row("order-7").history_length) == ("Running", 1)
    assert not messages("order-7")


def test_a_turn_can_be_appended_to_a_history_that_cannot_be_decoded():
    pk = running("order-7", task())
    models.HistoryEvent.objects.filter(instance_id=pk, seq=2).update(kind="Nonsense")
    nudge("order-7")
    committed(made(claim_all()["order-7"], task("next")))
    assert kinds("order-7") == ["OrchestrationStarted", "Nonsense", "ActivityScheduled"]


# Activities.


def test_tasks_are_inserted_with_everything_that_running_them_takes():
    fact = task(
        tag="gpu",
        session_id="s1",
        priority=3,
        retry={"max_attempts": 2},
        start_to_close_ms=5,
        schedule_to_close_ms=60_000,
    )
    (claimed,) = fresh("order-7")
    committed(made(claimed, fact))
    found = models.ActivityTask.objects.get()
    assert (found.name, found.input, found.tag, found.session_id, found.priority) == ("charge", "1", "gpu", "s1", 3)
    assert (found.retry, found.start_to_close_ms) == ('{"max_attempts": 2}', 5)
    assert (found.expires_at, found.visible_at, found.created_at) == (NOW + timedelta(minutes=1), NOW, NOW)
    assert (found.attempt, found.deliveries, found.lease_token, found.lease_owner) == (1, 0, 0, None)


def test_eager_tasks_are_born_leased_and_the_others_wait_to_be_claimed():
    pk = running("order-7", task("mine"), task("anybody's"), eager=frozenset([2]), keep_lease=True)
    assert tasks() == {TaskKey(pk, 1, 2): WORKER, TaskKey(pk, 1, 3): None}
    assert [each.name for each in claim_tasks(OTHER)] == ["anybody's"]
    taken_over = claim_tasks(OTHER, now=LATER)
    assert {(each.name, each.lease_token, each.deliveries) for each in taken_over} == {
        ("mine", 2, 2),
        ("anybody's", 2, 2),
    }


def test_scheduling_and_canceling_an_activity_in_one_turn_leaves_nothing():
    running("order-7", task(), events.ActivityCancelRequested(scheduled_seq=2))
    assert not tasks()


def test_canceling_deletes_the_tasks_of_earlier_turns_and_no_others():
    pk = running("order-7", task(), task())
    nudge("order-7")
    gone = [events.ActivityCancelRequested(scheduled_seq=seq) for seq in (2, 99)]
    committed(made(claim_all()["order-7"], *gone))
    assert list(tasks()) == [TaskKey(pk, 1, 3)]


def test_a_completion_is_committed_with_the_turn_it_causes():
    pk = running("order-7", task(), eager=frozenset([2]), keep_lease=True)
    nudge("order-7")
    claimed = claim_all()["order-7"]
    committed(made(claimed, DONE, finished_tasks=[(TaskKey(pk, 1, 2), 1)]))
    assert not tasks()
    assert kinds("order-7")[-1] == "ActivityCompleted"


@pytest.mark.parametrize("reason", ["canceled", "taken over", "lease ran out"])
def test_a_turn_is_lost_as_a_whole_when_a_task_it_finishes_is_no_longer_held(reason):
    pk = running("order-7", task(), eager=frozenset([2]), keep_lease=True)
    nudge("order-7", now=NOW)
    now = NOW + LEASE if reason != "canceled" else NOW
    if reason == "taken over":
        assert claim_tasks(OTHER, now=now)
    elif reason == "canceled":
        models.ActivityTask.objects.all().delete()
    claimed = claim_all(now=now)["order-7"]
    before = counts()
    assert put(made(claimed, DONE, finished_tasks=[(TaskKey(pk, 1, 2), 1)]), now=now) == [LOST]
    assert counts() == before


# Timers.


def test_a_timer_is_a_message_that_becomes_visible_when_it_is_due():
    running("order-7", TIMER)
    assert not claim_all(now=NOW + timedelta(seconds=59))
    assert due.next_due(NOW, using=USING) == NOW + timedelta(minutes=1)
    (message,) = claim_all(now=NOW + timedelta(minutes=1))["order-7"].messages
    assert (message.fact, message.execution_number) == (events.TimerFired(timer_seq=2), 1)


def test_a_canceled_timer_leaves_nothing_whether_set_in_the_same_turn_or_before():
    running("order-7", TIMER, TIMER, TIMER, events.TimerCanceled(timer_seq=2))
    assert [each.timer_seq for each in messages("order-7")] == [3, 4]
    nudge("order-7")
    committed(made(claim_all()["order-7"], events.TimerCanceled(timer_seq=4)))
    assert [each.timer_seq for each in messages("order-7")] == [3]


# Custom status and KV.


def test_each_turn_that_writes_the_custom_status_moves_its_version_by_one():
    def version(*facts):
        nudge("order-7")
        committed(made(claim_all()["order-7"], *facts))
        return row("order-7").custom_status, row("order-7").custom_status_version

    running("order-7")
    assert (row("order-7").custom_status, row("order-7").custom_status_version) == (None, 0)
    assert version(*(events.CustomStatusUpdated(value=each) for each in ("1", "2"))) == ("2", 1)
    assert version(task()) == ("2", 1)
    assert version(events.CustomStatusUpdated(value=None)) == (None, 2)


@pytest.mark.parametrize(
    ("facts", "left"),
    [
        ([events.KeyValueSet(key="a", value="2")], {"a": "2", "b": "1"}),
        ([events.KeyValueSet(key="", value='""')], {"": '""', "a": "1", "b": "1"}),
        ([events.KeyValueSet(key="schlüssel 鍵", value='"値"')], {"a": "1", "b": "1", "schlüssel 鍵": '"値"'}),
        ([events.KeyValueCleared(key="a")], {"b": "1"}),
        ([events.KeyValueCleared(key="missing")], {"a": "1", "b": "1"}),
        ([events.KeyValuesCleared(keys=("a", "b"))], {}),
        ([events.KeyValuesCleared(keys=("a", "b")), events.KeyValueSet(key="a", value="3")], {"a": "3"}),
        ([events.KeyValueSet(key="a", value="3"), events.KeyValueCleared(key="a")], {"b": "1"}),
        (
            [events.KeyValueSet(key="c", value="1"), events.KeyValueSet(key="c", value="2")],
            {"a": "1", "b": "1", "c": "2"},
        ),
    ],
)
def test_kv_entries_are_what_the_last_write_of_the_last_turn_left(facts, left):
    running("order-7", events.KeyValueSet(key="a", value="1"), events.KeyValueSet(key="b", value="1"))
    running("order-8", events.KeyValueSet(key="a", value='"other"'))
    nudge("order-7")
    committed(made(claim_all()["order-7"], *facts))
    entries = models.KeyValue.objects.filter(instance=row("order-7").id).values_list("key", "value")
    assert dict(entries) == left
    assert models.KeyValue.objects.get(instance=row("order-8").id).value == '"other"'


def test_values_of_the_largest_size_are_stored_as_they_are():
    payload = '"' + 'x\\"鍵' * 16_000 + '"'
    running("order-7", *(events.KeyValueSet(key=str(number), value=payload) for number in range(30)))
    assert set(models.KeyValue.objects.values_list("value", flat=True)) == {payload}
    assert 30 * len(payload) > sql.HEAVY, "so many go another way to PostgreSQL"


# Other instances.


def test_a_child_knows_its_parent_and_the_root_of_the_tree():
    pk = running("root", child("kid"))
    claimed = claim_all()["kid"]
    assert claimed.messages[0].fact.parent_instance_id == "root"
    committed(made(claimed, child("grandkid")))
    kid, grandkid = row("kid"), row("grandkid")
    assert (kid.parent_id, kid.parent_execution, kid.parent_seq, kid.root_id) == (pk, 1, 2, pk)
    assert (grandkid.parent_id, grandkid.root_id) == (kid.id, pk)
    assert kid.executions.get().input == "7"


def test_a_child_whose_id_is_taken_fails_at_its_parent():
    start("kid")
    running("root", child("kid"), child("twin"), child("twin"))
    first, second = (each for each in messages("root"))
    assert {first.scheduled_seq, second.scheduled_seq} == {2, 4}
    assert first.failure.error_type == "django_durable.engine.errors.InstanceAlreadyExists"
    assert row("kid").parent_id is None


def test_two_parents_that_start_the_same_child_in_one_batch_get_one_child_and_one_failure():
    first, second = fresh("first", "second")
    committed(made(first, child("kid")), made(second, child("kid")))
    assert row("kid").parent_id == first.id
    assert (len(messages("first")), len(messages("second"))) == (0, 1)


def test_a_detached_start_is_nobodys_child_and_one_whose_id_is_taken_harms_nobody():
    start("taken")
    chained = [
        events.OrchestrationChained(name="audit", version="1.0.0", instance_id=each, input="5")
        for each in ("taken", "free")
    ]
    running("order-7", *chained)
    assert (row("free").orchestration, row("free").parent_id, row("free").root_id) == ("audit", None, None)
    assert row("taken").orchestration == "orders"
    assert not messages("order-7")


def test_instances_started_by_turns_draw_their_own_seeds():
    running("root", child("one"), child("two"))
    seeds = {each.seed for name in ("one", "two") for each in messages(name)}
    assert len(seeds) == 2
    assert all(len(each) >= 32 for each in seeds)


def test_canceling_a_child_asks_it_to_end():
    running("root", child("kid"), child("other"))
    start("stranger")
    claim_all()
    nudge("root")
    cancels = [
        events.SubOrchestrationCancelRequested(scheduled_seq=2, instance_id=each)
        for each in ("kid", "stranger", "none")
    ]
    committed(made(claim_all()["root"], *cancels))
    assert events.OrchestrationCancelRequested(reason="parent canceled") in messages("kid")
    assert not [each for name in ("other", "stranger") for each in messages(name) if "Cancel" in each.kind]


# Ends.


@pytest.mark.parametrize(
    ("fact", "status", "told"),
    [
        (COMPLETED, "Completed", events.SubOrchestrationCompleted(scheduled_seq=2, result='"done"')),
        (FAILED, "Failed", events.SubOrchestrationFailed(scheduled_seq=2, failure=FAILED.failure)),
        (
            events.OrchestrationCanceled(output='"undone"', reason="no stock"),
            "Canceled",
            events.SubOrchestrationFailed(
                scheduled_seq=2, failure=Failure("CancelledError", "Sub-orchestration 'kid' was canceled: no stock")
            ),
        ),
    ],
)
def test_an_end_closes_the_execution_and_tells_the_parent(fact, status, told):
    running("root", child("kid"))
    claimed, late = claim_all()["kid"], NOW + timedelta(seconds=5)
    committed(made(claimed, fact, keep_lease=True), now=late)
    found, execution = row("kid"), row("kid").executions.get()
    assert (found.runtime_status, execution.status) == (status, status)
    assert found.completed_at == execution.completed_at == late
    assert (found.lease_owner, execution.event_count) == (None, 2)
    assert execution.output == getattr(fact, "output", None)
    assert (execution.failure is None) == (fact is not FAILED)
    assert messages("root") == [told]
    assert claim_all(now=late)["root"].messages[0].execution_number == 1


def test_an_end_leaves_no_messages_and_no_timers_not_even_its_own_turns():
    running("order-7", TIMER)
    nudge("order-7")
    nudge("order-7")
    claimed = claim_all()["order-7"]
    committed(made(claimed, TIMER, COMPLETED, consumed=[claimed.messages[0].id]))
    assert not messages("order-7")


def test_a_good_end_leaves_activities_and_children_running():
    pk = running("order-7", task(), child("kid"))
    nudge("order-7")
    committed(made(claim_all()["order-7"], task(), COMPLETED))
    assert {key.seq for key in tasks() if key.instance == pk} == {2, 4}
    assert [each.kind for each in messages("kid")] == ["OrchestrationStarted"]


@pytest.mark.parametrize("fact", [FAILED, events.OrchestrationCanceled(output="null")])
def test_a_bad_end_cancels_what_its_execution_started_in_this_turn_or_before(fact):
    running("order-7", task(), child("kid"))
    running("stranger", task(), child("strangers-kid"))
    nudge("order-7")
    committed(made(claim_all()["order-7"], task(), child("late-kid"), fact))
    assert {key.instance for key in tasks()} == {row("stranger").id}
    asked = events.OrchestrationCancelRequested(reason="parent ended")
    assert [messages(name)[-1] == asked for name in ("kid", "late-kid", "strangers-kid")] == [True, True, False]


def test_a_bad_end_leaves_what_an_earlier_execution_left_running():
    running("order-7", task(), child("kid"))
    nudge("order-7")
    claimed = claim_all()["order-7"]
    again = events.OrchestrationContinuedAsNew(input="2")
    committed(made(claimed, again, next_start=next_start("order-7")))
    committed(made(claim_all()["order-7"], FAILED))
    assert len(tasks()) == 1
    assert [each.kind for each in messages("kid")] == ["OrchestrationStarted"]


def next_start(instance_id, version="2.0.0"):
    return OrchestrationStarted(
        name="orders",
        version=version,
        input="2",
        instance_id=instance_id,
        execution=2,
        seed="s",
        custom_status='"kept"',
    )


def test_continuing_as_new_starts_the_next_execution_and_keeps_the_old_ones_history():
    pk = running("order-7", TIMER, task(), events.KeyValueSet(key="a", value="1"))
    nudge("order-7")
    claimed = claim_all()["order-7"]
    nudge("order-7")
    late = NOW + timedelta(seconds=1)
    committed(made(claimed, events.OrchestrationContinuedAsNew(input="2"), next_start=next_start("order-7")), now=late)
    found = row("order-7")
    assert (found.runtime_status, found.execution_number, found.history_length) == ("Running", 2, 0)
    assert (found.version, found.completed_at) == ("2.0.0", None)
    old, new = found.executions.order_by("number")
    assert (old.status, old.output, old.completed_at, old.event_count) == ("ContinuedAsNew", None, late, 5)
    assert (new.status, new.version, new.input, new.started_at) == ("Running", "2.0.0", "2", late)
    assert kinds("order-7")[-1] == "OrchestrationContinuedAsNew"
    assert list(tasks()) == [TaskKey(pk, 1, 3)]
    assert models.KeyValue.objects.get().value == "1"
    started, unread = claim_all(now=late)["order-7"].messages
    assert started.fact == next_start("order-7"), "before everything that came earlier"
    assert (started.execution_number, unread.fact.kind) == (2, "ExternalEvent")


def test_histories_of_executions_are_kept_apart():
    pk = running("order-7")
    nudge("order-7")
    again = events.OrchestrationContinuedAsNew(input="2")
    committed(made(claim_all()["order-7"], again, next_start=next_start("order-7")))
    committed(made(claim_all()["order-7"], task()))
    first, second = (claims.load_histories([(pk, number)], using=USING)[pk] for number in (1, 2))
    assert [each.kind for each in first] == ["OrchestrationStarted", "OrchestrationContinuedAsNew"]
    assert [(each.seq, each.kind) for each in second] == [(1, "OrchestrationStarted"), (2, "ActivityScheduled")]


# Blocking.


def test_blocking_keeps_the_reason_and_holds_the_messages():
    (claimed,) = fresh("order-7")
    nudge("order-7")
    reason = Failure("NotRegistered", "No orchestration 'orders'.")
    assert turns.block_instances(WORKER, [(claimed.id, claimed.lease_token, reason)], NOW, using=USING) == set()
    found = row("order-7")
    assert (found.runtime_status, found.lease_owner, found.turn_attempts) == ("Blocked", None, 0)
    assert '"NotRegistered"' in found.blocked_reason
    assert set(models.InboxMessage.objects.values_list("held", flat=True)) == {True}
    assert not claim_all()


def test_only_the_holder_of_the_lease_can_block(django_assert_max_num_queries):
    one, two, stale = fresh("one", "two", "stale")
    reason = Failure("NotRegistered", "gone")
    rows = [(one.id, one.lease_token, reason), (two.id, two.lease_token, reason), (stale.id, 99, reason)]
    assert turns.block_instances(WORKER, rows, NOW + LEASE, using=USING) == {one.id, two.id, stale.id}
    with django_assert_max_num_queries(6):
        assert turns.block_instances(WORKER, rows, NOW, using=USING) == {stale.id}
    assert (row("one").runtime_status, row("stale").runtime_status) == ("Blocked", "Pending")


def test_recorded_moments_keep_their_microseconds():
    at = NOW + timedelta(microseconds=1)
    (claimed,) = fresh("order-7")
    committed(made(claimed, task(), at=at))
    history = claims.load_histories([(claimed.id, 1)], using=USING)[claimed.id]
    assert [each.recorded_at for each in history] == [at, at]
    assert isinstance(history[0], HistoryEvent)


def test_many_instances_are_created_by_three_statements(django_assert_max_num_queries):
    new = [
        NewInstance(instance_id=f"order-{number}", orchestration="o", version="1.0.0", input="1", seed="s")
        for number in range(50)
    ]
    with django_assert_max_num_queries(3):
        assert len(insert_instances(connection, new, NOW)) == 50
