"""The whole way of an instance, on one thread and inside the test's transaction."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from django_durable import NondeterminismError, RetryPolicy
from django_durable.engine.errors import ActivityError, ActivityTimeout
from django_durable.models import ActivityTask, InboxMessage, Instance, QueuedEvent
from django_durable.registry import Registry
from django_durable.store import endings, instances, turns
from django_durable.store.records import TagFilter, TurnCommit, TurnOutcome
from django_durable.testing.clock import FakeClock
from django_durable.worker.worker import Worker

from .support import USING, blocked_reason, drained, failure, history, kinds, output, start, status, tasks

pytestmark = pytest.mark.django_db


@pytest.fixture
def registry() -> Registry:
    registry = Registry()

    @registry.activity("double")
    def double(number: int) -> int:
        return number * 2

    @registry.activity("double_async")
    async def double_async(number: int) -> int:
        await asyncio.sleep(0)
        return number * 2

    @registry.orchestration("chain")
    def chain(ctx, steps: int):
        number = 1
        for _ in range(steps):
            number = yield ctx.schedule_activity("double", number)
        return number

    @registry.orchestration("fan_out")
    async def fan_out(ctx, width: int):
        doubled = await asyncio.gather(*[ctx.schedule_activity("double_async", each) for each in range(width)])
        return sum(doubled)

    return registry


def one_activity(registry: Registry, function: Any, **options: Any) -> str:
    """Register an activity and an orchestration that returns its result; return the orchestration's name."""
    registry.activity("it", **options)(function)

    @registry.orchestration("one")
    def one(ctx, value: Any = None):
        return (yield ctx.schedule_activity("it"))

    return "one"


# The way of a result.


def test_a_chain_runs_to_its_end(registry: Registry) -> None:
    instance = start(registry, "chain", 5)

    drained(registry)

    assert output(instance) == 32
    assert kinds(instance) == [
        "OrchestrationStarted",
        *["ActivityScheduled", "ActivityCompleted"] * 5,
        "OrchestrationCompleted",
    ]


def test_each_step_of_a_chain_is_one_commit_without_a_claim(registry: Registry) -> None:
    start(registry, "chain", 5)

    counts = drained(registry).metrics_snapshot()

    assert counts["commits"] == counts["turns"] == 6
    assert (counts["instances_claimed"], counts["activities_claimed"]) == (1, 0)
    assert (counts["cache_misses"], counts["cache_hits"]) == (1, 5)


def test_instances_share_their_commits(registry: Registry) -> None:
    for _ in range(20):
        start(registry, "chain", 5)

    counts = drained(registry).metrics_snapshot()

    assert counts["turns"] == 120
    assert counts["commits"] == 6


def test_a_fan_out_wider_than_the_worker_runs_to_its_end(registry: Registry) -> None:
    instance = start(registry, "fan_out", 350)

    worker = drained(registry)

    assert output(instance) == sum(range(350)) * 2
    assert worker.metrics_snapshot()["activities_claimed"] > 0


def test_nothing_is_left_of_what_has_ended(registry: Registry) -> None:
    instance = start(registry, "fan_out", 30)

    drained(registry)

    assert not tasks(instance)
    assert not InboxMessage.objects.exists()
    assert Instance.objects.get(instance_id=instance).lease_owner is None


def test_a_new_worker_goes_on_where_another_one_was(registry: Registry) -> None:
    clock = FakeClock()

    @registry.orchestration("pausing")
    def pausing(ctx, value: Any = None):
        before = yield ctx.schedule_activity("double", 1)
        yield ctx.schedule_timer(timedelta(hours=1))
        after = yield ctx.schedule_activity("double", before)
        return after

    instance = start(registry, "pausing")
    drained(registry, clock)
    clock.advance(timedelta(hours=1))
    drained(registry, clock)

    assert output(instance) == 4


def test_a_rolled_back_transaction_takes_the_whole_drain_with_it(registry: Registry) -> None:
    instance = start(registry, "chain", 2)
    worker = Worker(registry)

    with transaction.atomic():
        worker.drain()
        assert output(instance) == 4
        transaction.set_rollback(True)
    assert status(instance) == "Pending"

    worker.drain()
    assert output(instance) == 4


# Time.


def test_a_timer_fires_when_the_clock_gets_there(registry: Registry) -> None:
    @registry.orchestration("sleeper")
    def sleeper(ctx, value: Any = None):
        yield ctx.schedule_timer(timedelta(days=2))
        return "awake"

    clock = FakeClock()
    instance = start(registry, "sleeper")
    worker = drained(registry, clock)
    assert status(instance) == "Running"

    due = worker.next_due()
    assert due is not None
    clock.advance_to(due - timedelta(milliseconds=1))
    worker.drain()
    assert status(instance) == "Running"

    clock.advance_to(due)
    worker.drain()
    assert output(instance) == "awake"


def test_a_delayed_start_waits_for_its_time(registry: Registry) -> None:
    clock = FakeClock()
    instance = start(registry, "chain", 1, start_at=timezone.now() + timedelta(hours=1))

    worker = drained(registry, clock)
    assert status(instance) == "Pending"

    clock.advance(timedelta(hours=1))
    worker.drain()
    assert output(instance) == 2


# Activities.


def test_a_failed_attempt_is_tried_again_by_its_policy(registry: Registry) -> None:
    attempts: list[int] = []

    def flaky(ctx) -> str:
        attempts.append(ctx.attempt)
        if ctx.attempt < 3:
            raise ConnectionError("no answer")
        return "done"

    instance = start(registry, one_activity(registry, flaky, retry=RetryPolicy(max_attempts=3, initial=1000)))
    clock = FakeClock()
    worker = drained(registry, clock)
    assert attempts == [1]
    assert [each["message"] for each in json.loads(tasks(instance)[0].failures or "[]")] == ["no answer"]

    clock.advance(timedelta(seconds=1))
    worker.drain()
    assert attempts == [1, 2]
    clock.advance(timedelta(seconds=2))
    worker.drain()

    assert attempts == [1, 2, 3]
    assert output(instance) == "done"


def test_the_error_of_the_last_attempt_reaches_the_orchestration_with_its_type(registry: Registry) -> None:
    @registry.activity("refuse", retry=RetryPolicy(max_attempts=2, backoff="none"))
    def refuse() -> None:
        raise LookupError("no such order")

    @registry.orchestration("caught")
    def caught(ctx, value: Any = None):
        try:
            yield ctx.schedule_activity("refuse")
        except ActivityError as error:
            return [error.error_type, error.message]

    instance = start(registry, "caught")
    drained(registry)

    assert output(instance) == ["LookupError", "no such order"]


@pytest.mark.parametrize("exit", [SystemExit, KeyboardInterrupt])
def test_author_code_that_exits_fails_its_activity_only(registry: Registry, exit: type[BaseException]) -> None:
    def leave() -> None:
        raise exit(3)

    instance = start(registry, one_activity(registry, leave))
    drained(registry)

    assert failure(instance)["error_type"] == exit.__name__


def test_a_result_that_cannot_be_encoded_fails_without_another_attempt(registry: Registry) -> None:
    runs: list[int] = []

    def unencodable() -> object:
        runs.append(1)
        return object()

    instance = start(registry, one_activity(registry, unencodable, retry=RetryPolicy(max_attempts=5)))
    drained(registry)

    assert failure(instance)["error_type"].endswith("PayloadError")
    assert runs == [1]


def test_an_attempt_over_its_limit_is_a_timeout_even_if_it_returned(registry: Registry) -> None:
    clock = FakeClock()

    @registry.activity("slow", timeout=timedelta(seconds=2))
    def slow() -> str:
        clock.advance(timedelta(seconds=3))
        return "too late"

    @registry.orchestration("impatient")
    def impatient(ctx, value: Any = None):
        try:
            yield ctx.schedule_activity("slow")
        except ActivityTimeout as error:
            return error.error_type

    instance = start(registry, "impatient")
    drained(registry, clock)

    assert output(instance) == "TimeoutError"


def test_an_async_activity_is_interrupted_at_its_limit(registry: Registry) -> None:
    interrupted: list[bool] = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            interrupted.append(True)

    instance = start(registry, one_activity(registry, endless, timeout=10))
    drained(registry)

    assert failure(instance)["error_type"] == "TimeoutError"
    assert interrupted == [True]


def test_the_total_time_covers_attempts_and_pauses(registry: Registry) -> None:
    clock = FakeClock()
    attempts: list[int] = []

    def failing(ctx) -> None:
        attempts.append(ctx.attempt)
        raise ValueError("again")

    policy = RetryPolicy(max_attempts=100, backoff="fixed", initial=timedelta(seconds=10))
    name = one_activity(registry, failing, retry=policy, total_timeout=timedelta(seconds=25))
    instance = start(registry, name)
    worker = drained(registry, clock)
    for _ in range(5):
        clock.advance(timedelta(seconds=10))
        worker.drain()

    assert attempts == [1, 2, 3]
    assert failure(instance)["error_type"] == "ValueError"
    assert history(instance)[2].fact.timed_out  # type: ignore[attr-defined]


def test_an_activity_delivered_too_often_is_poisoned_and_the_orchestration_can_catch_it(registry: Registry) -> None:
    @registry.activity("killer")
    def killer() -> str:
        return "survived"

    @registry.orchestration("careful")
    def careful(ctx, value: Any = None):
        try:
            return (yield ctx.schedule_activity("killer").with_tag("risky"))
        except ActivityError as error:
            return error.error_type

    instance = start(registry, "careful")
    drained(registry)
    ActivityTask.objects.update(deliveries=10)
    drained(registry, tags=TagFilter.tags(["risky"]))

    assert output(instance) == "Poisoned"


def test_an_activity_that_is_not_registered_here_is_left_for_later_and_not_counted(registry: Registry) -> None:
    other = Registry()
    other.activity("it")(lambda_free)
    other.orchestration("one")(calls_it)
    registry.orchestration("one")(calls_it)
    clock = FakeClock()
    instance = start(other, "one")

    drained(other, clock, tags=TagFilter.NONE)
    drained(registry, clock)
    assert (tasks(instance)[0].deliveries, tasks(instance)[0].lease_owner) == (0, None)
    clock.advance(timedelta(seconds=2))
    drained(other, clock)

    assert output(instance) == "ran"


def lambda_free() -> str:
    return "ran"


def calls_it(ctx, value: Any = None):
    return (yield ctx.schedule_activity("it"))


def test_the_context_says_who_runs_for_whom(registry: Registry) -> None:
    seen: dict[str, Any] = {}

    @registry.activity("look", tag="here")
    def look(ctx) -> None:
        names = ("instance_id", "execution_id", "orchestration_name", "orchestration_version", "activity_name")
        names += ("attempt", "worker_id", "session_id", "tag", "idempotency_key")
        seen.update({name: getattr(ctx, name) for name in names})
        ctx.logger.info("hello")
        ctx.trace_info("hello")
        assert not ctx.is_cancelled()

    @registry.orchestration("looking", version="2.0.0")
    def looking(ctx, value: Any = None):
        yield ctx.schedule_activity_on_session("look", None, "s-1")

    instance = start(registry, "looking", instance_id="order-7")
    drained(registry, worker_id="w-1", tags=TagFilter.ANY)

    assert output(instance) is None
    key = seen.pop("idempotency_key")
    assert key == f"{Instance.objects.get().id}-1-2"
    assert seen == {
        "instance_id": "order-7",
        "execution_id": 1,
        "orchestration_name": "looking",
        "orchestration_version": "2.0.0",
        "activity_name": "look",
        "attempt": 1,
        "worker_id": "w-1",
        "session_id": "s-1",
        "tag": "here",
    }


def test_tags_decide_which_worker_runs_an_activity(registry: Registry) -> None:
    @registry.orchestration("tagged")
    def tagged(ctx, value: Any = None):
        return (yield ctx.schedule_activity("double", 4).with_tag("gpu"))

    instance = start(registry, "tagged")
    drained(registry)
    drained(registry, tags=TagFilter.tags(["cpu"]))
    assert status(instance) == "Running"

    drained(registry, tags=TagFilter.default_and(["gpu"]))
    assert output(instance) == 8


def test_the_value_of_another_instance_is_read_when_the_activity_runs(registry: Registry) -> None:
    @registry.orchestration("writer")
    def writer(ctx, value: Any = None):
        ctx.set_kv_value("price", {"euro": 7})

    @registry.orchestration("reader")
    def reader(ctx, other: str):
        found = yield ctx.all(
            [
                ctx.get_kv_value_from_instance(other, "price"),
                ctx.get_kv_value_from_instance(other, "weight"),
                ctx.get_kv_value_from_instance("nobody", "price"),
            ]
        )
        return found

    writing = start(registry, "writer")
    drained(registry)
    reading = start(registry, "reader", writing)
    drained(registry)

    assert output(reading) == [{"ok": {"euro": 7}}, {"ok": None}, {"ok": None}]


# Atomic activities.


def test_an_atomic_activity_commits_with_its_completion(registry: Registry) -> None:
    @registry.activity("enter", atomic=True)
    def enter(name: str) -> int:
        return Group.objects.create(name=name).pk

    @registry.orchestration("entering")
    def entering(ctx, name: str):
        return (yield ctx.schedule_activity("enter", name))

    instance = start(registry, "entering", "editors")
    drained(registry)

    assert output(instance) == Group.objects.get(name="editors").pk


def test_an_atomic_activity_that_fails_leaves_nothing(registry: Registry) -> None:
    def enter(ctx) -> str:
        Group.objects.create(name=f"attempt {ctx.attempt}")
        if ctx.attempt == 1:
            raise ValueError("not yet")
        return "entered"

    policy = RetryPolicy(max_attempts=2, backoff="none")
    instance = start(registry, one_activity(registry, enter, atomic=True, retry=policy))
    drained(registry)

    assert output(instance) == "entered"
    assert [group.name for group in Group.objects.all()] == ["attempt 2"]


def test_an_atomic_activity_whose_lease_was_lost_rolls_back(registry: Registry) -> None:
    def enter() -> str:
        Group.objects.create(name="doubled")
        ActivityTask.objects.update(lease_token=99)
        return "entered"

    instance = start(registry, one_activity(registry, enter, atomic=True))
    worker = drained(registry)

    assert not Group.objects.exists()
    assert status(instance) == "Running"
    assert worker.metrics_snapshot()["activities_dropped"] == 1


def test_an_atomic_activity_whose_task_is_gone_is_not_run(registry: Registry) -> None:
    runs: list[int] = []

    def enter() -> None:
        runs.append(1)

    name = one_activity(registry, enter, atomic=True)
    start(registry, name)
    worker = Worker(registry)
    # One round commits the schedule; the attempt is run by the next.
    with pytest.raises(Exception, match="still something to do"):
        worker.drain(rounds=1)
    ActivityTask.objects.all().delete()
    worker.drain()

    assert runs == []


# What a turn takes and makes.


def test_external_events_are_kept_until_they_are_waited_for(registry: Registry) -> None:
    @registry.orchestration("listening")
    def listening(ctx, value: Any = None):
        first = yield ctx.wait_for_event("go")
        second = yield ctx.wait_for_event("go")
        return [first, second]

    instance = start(registry, "listening")
    for number in (1, 2):
        instances.raise_event(instance, "go", str(number), now=timezone.now(), using=USING)
    drained(registry)

    assert output(instance) == [1, 2]


def test_any_number_of_queued_messages_is_drained_in_one_turn(registry: Registry) -> None:
    @registry.orchestration("draining")
    def draining(ctx, many: int):
        total = 0
        for _ in range(many):
            total += yield ctx.dequeue_event("numbers")
        return total

    instance = start(registry, "draining", 1500)
    drained(registry)
    now, pk = timezone.now(), Instance.objects.get().pk
    QueuedEvent.objects.bulk_create(
        QueuedEvent(instance_id=pk, queue="numbers", payload=str(each), created_at=now) for each in range(1499)
    )
    instances.enqueue_event(instance, "numbers", "1499", now=now, using=USING)
    counts = drained(registry).metrics_snapshot()

    assert output(instance) == sum(range(1500))
    assert counts["turns"] == 1
    assert not QueuedEvent.objects.exists()


def test_more_messages_than_a_claim_takes_are_all_taken(registry: Registry) -> None:
    @registry.orchestration("listening")
    def listening(ctx, many: int):
        found = []
        for _ in range(many):
            found.append((yield ctx.wait_for_event("go")))
        return found == list(range(many))

    instance = start(registry, "listening", 600)
    for number in range(600):
        instances.raise_event(instance, "go", str(number), now=timezone.now(), using=USING)
    drained(registry)

    assert output(instance) is True


def test_an_instance_continues_as_new_with_what_it_was_sent_meanwhile(registry: Registry) -> None:
    @registry.orchestration("generations")
    def generations(ctx, left: int):
        if left:
            yield ctx.schedule_activity("double", 1)
            yield ctx.continue_as_new(left - 1)
        found = []
        for _ in range(3):
            found.append((yield ctx.wait_for_event("go")))
        return [ctx.execution_id, found]

    instance = start(registry, "generations", 3)
    for number in range(3):
        instances.raise_event(instance, "go", str(number), now=timezone.now(), using=USING)
    drained(registry)

    assert output(instance) == [4, [0, 1, 2]]


def test_events_that_come_between_two_executions_are_for_the_next(registry: Registry) -> None:
    @registry.orchestration("turning")
    def turning(ctx, again: bool):
        if again:
            yield ctx.wait_for_event("turn")
            yield ctx.continue_as_new(False)
        return (yield ctx.wait_for_event("go"))

    instance = start(registry, "turning", True)
    drained(registry)
    for name in ("turn", "go"):
        instances.raise_event(instance, name, '"x"', now=timezone.now(), using=USING)
    drained(registry)

    assert output(instance) == "x"


def test_children_report_to_their_parent(registry: Registry) -> None:
    @registry.orchestration("family")
    async def family(ctx, children: int):
        started = [ctx.schedule_sub_orchestration("chain", each) for each in range(children)]
        return sum(await asyncio.gather(*started))

    instance = start(registry, "family", 6)
    drained(registry)

    assert output(instance) == 2**6 - 1


def test_a_canceled_instance_compensates_and_its_activities_are_gone(registry: Registry) -> None:
    @registry.orchestration("booking")
    def booking(ctx, value: Any = None):
        try:
            yield ctx.schedule_activity("double", 1).with_tag("nowhere")
        except asyncio.CancelledError:
            undone = yield ctx.schedule_activity("double", 21)
            return undone

    instance = start(registry, "booking")
    worker = drained(registry)
    endings.cancel_instance(instance, "changed my mind", now=timezone.now(), using=USING)
    worker.drain()

    assert status(instance) == "Canceled"
    assert not tasks(instance)


# Instances that cannot go on.


def test_an_instance_whose_code_is_missing_is_blocked_alone(registry: Registry) -> None:
    @registry.orchestration("gone")
    def gone(ctx, value: Any = None):
        return 1

    missing, fine = start(registry, "gone"), start(registry, "chain", 1)
    registry._latest.pop("gone")
    registry._orchestrations.pop("gone")
    drained(registry)

    assert blocked_reason(missing)["error_type"].endswith("NotRegistered")
    assert output(fine) == 2


def test_an_instance_whose_code_diverged_is_blocked_and_goes_on_when_the_code_is_back(registry: Registry) -> None:
    changed = Registry()
    for each in (registry, changed):
        each.activity("it")(lambda_free)
    registry.orchestration("steps")(two_waits)
    changed.orchestration("steps")(other_waits)
    instance = start(registry, "steps")
    drained(registry)

    instances.raise_event(instance, "one", '"x"', now=timezone.now(), using=USING)
    drained(changed)
    assert blocked_reason(instance)["error_type"].endswith(NondeterminismError.__name__)
    assert InboxMessage.objects.filter(held=True).count() == 1

    instances.resume_instance(instance, now=timezone.now(), using=USING)
    drained(registry)
    assert output(instance) == "x"


def two_waits(ctx, value: Any = None):
    return (yield ctx.wait_for_event("one"))


def other_waits(ctx, value: Any = None):
    yield ctx.schedule_activity("it")
    return (yield ctx.wait_for_event("one"))


def test_a_message_that_cannot_be_decoded_blocks_its_instance_alone(registry: Registry) -> None:
    @registry.orchestration("listening")
    def listening(ctx, value: Any = None):
        return (yield ctx.wait_for_event("go"))

    damaged, fine = start(registry, "listening"), start(registry, "listening")
    drained(registry)
    for instance in (damaged, fine):
        instances.raise_event(instance, "go", "1", now=timezone.now(), using=USING)
    InboxMessage.objects.filter(instance__instance_id=damaged).update(kind="Unheard")
    drained(registry)

    assert "Unheard" in blocked_reason(damaged)["message"]
    assert output(fine) == 1


def test_a_history_that_cannot_be_decoded_blocks_its_instance_alone(registry: Registry) -> None:
    @registry.orchestration("listening")
    def listening(ctx, value: Any = None):
        return (yield ctx.wait_for_event("go"))

    damaged, fine = start(registry, "listening"), start(registry, "listening")
    drained(registry)
    Instance.objects.get(instance_id=damaged).events.filter(seq=2).update(kind="Unheard")
    for instance in (damaged, fine):
        instances.raise_event(instance, "go", "1", now=timezone.now(), using=USING)
    drained(registry)

    assert "Unheard" in blocked_reason(damaged)["message"]
    assert output(fine) == 1


def test_a_turn_that_can_never_be_committed_is_blocked_in_the_end(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, fine = start(registry, "chain", 1, "bad"), start(registry, "chain", 1)
    commit_turns = turns.commit_turns

    def refusing(worker_id: str, commits: list[TurnCommit], **options: Any) -> list[TurnOutcome]:
        good = [commit for commit in commits if commit.instance_id != "bad"]
        done = iter(commit_turns(worker_id, good, **options))
        return [TurnOutcome(ValueError("no")) if commit.instance_id == "bad" else next(done) for commit in commits]

    monkeypatch.setattr(turns, "commit_turns", refusing)
    worker = drained(registry)

    assert worker.metrics_snapshot()["turns_failed"] == 10
    assert blocked_reason(bad)["error_type"] == "Poisoned"
    assert output(fine) == 2
