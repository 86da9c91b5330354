"""Retrying what ended badly: from its last good point, or from an event that is chosen, in both styles."""

from __future__ import annotations

from datetime import timedelta

import pytest

from django_durable import ActivityError, CancelledError
from django_durable.engine.errors import IllegalTransition, InstanceNotFound, InvalidArgument
from django_durable.engine.states import RuntimeStatus
from django_durable.models import ActivityTask, HistoryEvent, InboxMessage, Instance

# Stories.


def two(ctx):
    first = yield ctx.schedule_activity("act", "a")
    second = yield ctx.schedule_activity("act", "b")
    return [first, second]


def raises_after_a(ctx):
    yield ctx.schedule_activity("act", "a")
    raise LookupError("a bug")


def raises_at_once(ctx):
    ctx.schedule_activity("act", "never begun")
    raise LookupError("a bug")


def fans_out(ctx):
    found = yield ctx.all([ctx.schedule_activity("act", name) for name in "abcd"])
    if any("err" in each for each in found):
        raise RuntimeError("some failed")
    return [each["ok"] for each in found]


def saga(ctx):
    yield ctx.schedule_activity("act", "reserve")
    try:
        yield ctx.schedule_activity("act", "charge")
    except ActivityError:
        yield ctx.schedule_activity("act", "release")
        raise
    return "shipped"


# Where it goes on.


def test_a_failed_activity_is_tried_again_with_its_policy_and_nothing_else_is(retrying):
    retrying.broken = {"b"}
    retrying.fail(two)
    before = retrying.client.read_execution_history("one")
    assert retrying.client.retry_instance("one") == 2
    assert retrying.status() == RuntimeStatus.RUNNING
    retrying.durable.run()

    assert retrying.output() == ["a done", "b done"]
    assert retrying.ran == {"a": 1, "b": 3}
    assert retrying.client.read_execution_history("one", 1) == before
    assert retrying.client.get_execution_info("one", 1).status == "Failed"
    assert retrying.client.read_execution_history("one", 2)[:4] == before[:4]
    assert retrying.kinds()[4:] == ["OrchestrationRewound", "ActivityCompleted", "OrchestrationCompleted"]


def test_an_instance_may_be_retried_again_and_again(retrying):
    retrying.broken = {"b"}
    retrying.start(retrying.define(two))
    for number in (2, 3, 4):
        assert retrying.client.retry_instance("one") == number
        retrying.durable.run()
        assert retrying.status() == RuntimeStatus.FAILED
    retrying.broken.clear()
    retrying.retry()

    assert retrying.output() == ["a done", "b done"]
    assert retrying.ran["a"] == 1
    assert retrying.client.list_executions("one") == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("hot", [0, 1000])
def test_a_corrected_bug_is_passed_with_what_the_code_was_told_last(retrying, hot):
    retrying.fail(raises_after_a)

    def corrected(ctx):
        return (yield ctx.schedule_activity("act", "a"))

    retrying.correct(corrected)
    if not hot:
        retrying.durable.restart()
    retrying.retry()
    assert retrying.output() == "a done"
    assert retrying.ran == {"a": 1}


def test_a_bug_that_is_not_corrected_fails_it_again_and_runs_nothing(retrying):
    retrying.fail(raises_after_a)
    retrying.retry()
    assert retrying.status() == RuntimeStatus.FAILED
    assert retrying.ran == {"a": 1}


def test_code_that_raised_at_once_begins_anew(retrying):
    retrying.fail(raises_at_once)
    retrying.correct(two)
    retrying.retry()
    assert retrying.output() == ["a done", "b done"]
    assert retrying.kinds()[0] == "OrchestrationStarted"


def test_code_that_no_longer_fits_what_is_kept_blocks_the_instance_and_can_be_mended(retrying):
    retrying.broken = {"b"}
    retrying.fail(two)

    def other(ctx):
        return (yield ctx.schedule_activity("act", "c"))

    retrying.correct(other)
    retrying.durable.restart()
    retrying.retry()
    assert retrying.status() == RuntimeStatus.BLOCKED
    retrying.correct(two)
    retrying.client.resume_instance("one")
    retrying.durable.run()
    assert retrying.output() == ["a done", "b done"]


def test_only_the_failed_of_a_fan_out_are_run_again(retrying):
    retrying.broken = {"b", "d"}
    retrying.fail(fans_out)
    retrying.retry()
    assert retrying.output() == ["a done", "b done", "c done", "d done"]
    assert retrying.ran == {"a": 1, "b": 3, "c": 1, "d": 3}


def test_what_was_under_way_when_a_sibling_failed_is_run(retrying):
    def waits_for_all(ctx):
        late = ctx.schedule_activity("act", "elsewhere").with_tag("elsewhere")
        yield ctx.schedule_activity("act", "a")
        return (yield late)

    retrying.broken = {"a"}
    retrying.fail(waits_for_all)
    assert not ActivityTask.objects.exists()
    retrying.retry()
    assert retrying.output() == "elsewhere done"


def test_a_retried_activity_has_its_total_time_anew(retrying):
    def bounded(ctx):
        policy = {"max_attempts": 1, "total_timeout_ms": 60_000}
        return (yield ctx.schedule_activity_with_retry("act", "a", policy))

    retrying.broken = {"a"}
    retrying.fail(bounded)
    retrying.durable.advance(hours=1)
    retrying.retry()
    assert retrying.output() == "a done"


# What the outside had told.


def test_a_timer_is_due_when_it_was(retrying):
    def with_timer(ctx):
        timer = ctx.schedule_timer(timedelta(hours=1))
        yield ctx.schedule_activity("act", "a")
        yield timer
        return (yield ctx.utc_now())

    retrying.broken = {"a"}
    retrying.fail(with_timer)
    started = retrying.client.read_execution_history("one", 1)[0].recorded_at
    retrying.durable.advance(minutes=40)
    retrying.retry()
    assert retrying.status() == RuntimeStatus.RUNNING
    retrying.durable.advance(minutes=19)
    assert retrying.status() == RuntimeStatus.RUNNING
    retrying.durable.advance(minutes=1)
    assert retrying.output() >= int((started + timedelta(hours=1)).timestamp() * 1000)


def test_a_timer_that_has_passed_meanwhile_fires_at_once(retrying):
    def with_timer(ctx):
        timer = ctx.schedule_timer(timedelta(hours=1))
        yield ctx.schedule_activity("act", "a")
        yield timer
        return "fired"

    retrying.broken = {"a"}
    retrying.fail(with_timer)
    retrying.durable.advance(hours=2)
    retrying.retry()
    assert retrying.output() == "fired"


def test_events_and_messages_that_were_taken_after_the_point_are_told_again_in_order(retrying):
    def told(ctx):
        yield ctx.schedule_activity("act", "a")
        heard, taken = [], []
        for _ in range(3):
            heard.append((yield ctx.wait_for_event("e", int)))
            taken.append((yield ctx.dequeue_event("q", int)))
        ctx.set_kv_value("heard", heard)
        if "b" in retrying.broken:
            raise LookupError("a bug")
        rest = yield ctx.dequeue_event("q", int)
        return [heard, taken, rest]

    retrying.start(retrying.define(told))
    retrying.broken = {"b"}
    for n in range(4):
        retrying.client.enqueue_event("one", "q", n)
    for n in range(3):
        retrying.client.raise_event("one", "e", n)
        retrying.durable.run()
    assert retrying.status() == RuntimeStatus.FAILED
    retrying.broken.clear()
    retrying.retry(from_event=3)
    assert retrying.output() == [[0, 1, 2], [0, 1, 2], 3]
    assert retrying.ran == {"a": 1}


def test_an_event_that_was_told_and_not_yet_waited_for_is_kept(retrying):
    def late_wait(ctx):
        yield ctx.wait_for_event("go")
        yield ctx.schedule_activity("act", "a")
        return (yield ctx.wait_for_event("late"))

    retrying.broken = {"a"}
    definition = retrying.define(late_wait)
    retrying.start(definition)
    retrying.client.raise_event("one", "late", 7)
    retrying.client.raise_event("one", "go")
    retrying.durable.run()
    assert retrying.status() == RuntimeStatus.FAILED
    retrying.broken.clear()
    retrying.retry()
    assert retrying.output() == 7


def test_entries_and_custom_status_are_those_of_the_point(retrying):
    def keeps(ctx):
        ctx.set_kv_value("kept", 1)
        ctx.set_kv_value("cleared later", 2)
        ctx.set_custom_status("before")
        try:
            yield ctx.schedule_activity("act", "a")
        except ActivityError:
            ctx.clear_kv_value("cleared later")
            ctx.set_kv_value("kept", "spoilt")
            ctx.set_kv_value("after", 3)
            ctx.set_custom_status("failed")
            raise
        yield ctx.wait_for_event("go")
        return ctx.get_kv_all_values()

    retrying.broken = {"a"}
    retrying.fail(keeps)
    assert retrying.client.get_kv_all_values("one") == {"kept": "spoilt", "after": 3}
    retrying.client.retry_instance("one")
    assert retrying.client.get_kv_all_values("one") == {"kept": 1, "cleared later": 2}
    assert retrying.client.get_status("one").custom_status == "before"
    retrying.client.raise_event("one", "go")
    retrying.durable.run()
    assert retrying.output() == {"kept": 1, "cleared later": 2}


def test_an_execution_that_continued_as_new_is_retried_with_what_it_was_left(retrying):
    def rounds(ctx, left):
        ctx.set_kv_value(f"round {left}", ctx.execution_id)
        yield ctx.schedule_activity("act", f"round {left}")
        if left:
            yield ctx.continue_as_new(left - 1)
        event = yield ctx.wait_for_event("early")
        return [ctx.get_kv_all_values(), event]

    retrying.broken = {"round 1"}
    retrying.client.start_definition(retrying.define(rounds), (), {"left": 2}, instance_id="one")
    retrying.client.raise_event("one", "early", "bird")
    retrying.durable.run()
    assert retrying.status() == RuntimeStatus.FAILED
    retrying.broken.clear()
    retrying.retry()
    assert retrying.output() == [{"round 2": 1, "round 1": 2, "round 0": 4}, "bird"]
    assert [retrying.client.get_execution_info("one", n).status for n in (1, 2, 3, 4)] == [
        "ContinuedAsNew",
        "Failed",
        "ContinuedAsNew",
        "Completed",
    ]


def test_guids_and_random_numbers_differ_from_those_that_were_dropped_and_repeat_on_replay(retrying):
    def draws(ctx):
        before = [(yield ctx.new_guid()), ctx.random.random()]
        yield ctx.schedule_activity("act", "a")
        after = [(yield ctx.new_guid()), ctx.random.random(), ctx.execution_id]
        ctx.set_custom_status([before, after])
        yield ctx.schedule_activity("act", "b")
        return [before, after]

    retrying.broken = {"b"}
    retrying.fail(draws)
    before, after = retrying.client.get_status("one").custom_status
    retrying.retry(from_event=3)
    again = retrying.output()
    assert again[0] == before
    assert not set(again[1]) & set(after)
    assert again[1][2] == 2


# Sagas and other choices.


def test_a_saga_that_has_compensated_is_not_retried_unless_the_event_is_chosen(retrying):
    retrying.broken = {"charge"}
    retrying.fail(saga)
    with pytest.raises(InvalidArgument, match=r"event 5 \(ActivityFailed .*event 6 \(ActivityScheduled act\)"):
        retrying.client.retry_instance("one")
    assert retrying.status() == RuntimeStatus.FAILED
    retrying.retry(from_event=5)
    assert retrying.output() == "shipped"
    assert retrying.ran == {"reserve": 1, "charge": 3, "release": 1}


def test_an_instance_can_begin_anew(retrying):
    retrying.broken = {"b"}
    retrying.fail(two)
    retrying.retry(from_event=1)
    assert retrying.output() == ["a done", "b done"]
    assert retrying.ran == {"a": 2, "b": 3}


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (0, "There is no event 0: the history has events 1 to 6"),
        (7, "There is no event 7"),
        (4, r"Event 4 \(ActivityScheduled act\) is what the code asked for after event 3 .*Go back to event 3"),
        (6, r"Event 6 \(OrchestrationFailed\) is what the code asked for after event 5"),
        ("5", "from_event is '5', expected the seq of an event"),
        (True, "from_event is True"),
    ],
)
def test_an_event_that_is_none_to_go_back_to_is_refused_and_named(retrying, event, says):
    retrying.broken = {"b"}
    retrying.fail(two)
    with pytest.raises(InvalidArgument, match=says):
        retrying.client.retry_instance("one", from_event=event)
    assert retrying.client.list_executions("one") == [1]


def test_only_what_ended_badly_is_retried(retrying):
    with pytest.raises(InstanceNotFound):
        retrying.client.retry_instance("nobody")
    definition = retrying.define(two)
    retrying.client.start_definition(definition, (), {}, instance_id="one")
    with pytest.raises(IllegalTransition, match="it is Pending, expected Canceled or Failed or Terminated"):
        retrying.client.retry_instance("one")
    retrying.durable.run()
    with pytest.raises(IllegalTransition, match="it is Completed"):
        retrying.client.retry_instance("one")


# Cancel and terminate.


def waits(ctx):
    yield ctx.schedule_activity("act", "a")
    try:
        return (yield ctx.wait_for_event("go"))
    finally:
        ctx.set_custom_status("left")


def test_a_canceled_instance_goes_on_as_if_nobody_had_asked(retrying):
    retrying.start(retrying.define(waits))
    retrying.client.cancel_instance("one", "by mistake")
    retrying.durable.run()
    assert retrying.status() == RuntimeStatus.CANCELED
    retrying.retry()
    retrying.client.raise_event("one", "go", "on")
    retrying.durable.run()
    assert retrying.output() == "on"
    assert retrying.ran == {"a": 1}


def test_a_cancel_that_was_compensated_is_not_undone(retrying):
    def compensates(ctx):
        try:
            yield ctx.wait_for_event("go")
        except CancelledError:
            yield ctx.schedule_activity("act", "release")
            raise

    retrying.start(retrying.define(compensates))
    retrying.client.cancel_instance("one")
    retrying.durable.run()
    assert retrying.status() == RuntimeStatus.CANCELED
    with pytest.raises(InvalidArgument, match="OrchestrationCancelRequested"):
        retrying.client.retry_instance("one")


def test_a_terminated_instance_goes_on_where_it_stood_with_its_children(retrying):
    retrying.define(waits, "child")

    def parent(ctx):
        return (yield ctx.schedule_sub_orchestration("child"))

    retrying.start(retrying.define(parent))
    retrying.client.terminate_instance("one")
    retrying.durable.run()
    retrying.retry()
    assert retrying.status("one::sub::2") == RuntimeStatus.RUNNING
    retrying.client.raise_event("one::sub::2", "go", "on")
    retrying.durable.run()
    assert retrying.output() == "on"
    assert retrying.ran == {"a": 1}


@pytest.mark.parametrize("end", ["cancel_instance", "terminate_instance"])
def test_what_ended_before_its_first_turn_begins_anew(retrying, end):
    start_at = retrying.durable.now() + timedelta(days=1)
    retrying.client.start_definition(retrying.define(two), (), {}, instance_id="one", start_at=start_at)
    getattr(retrying.client, end)("one")
    retrying.retry()
    assert retrying.output() == ["a done", "b done"]


def test_a_cancel_after_the_retry_ends_the_new_execution(retrying):
    retrying.broken = {"b"}
    retrying.fail(two)
    retrying.client.retry_instance("one")
    retrying.client.cancel_instance("one", "enough")
    retrying.durable.run()
    assert retrying.status() == RuntimeStatus.CANCELED
    assert retrying.kinds()[-4:-2] == ["OrchestrationRewound", "OrchestrationCancelRequested"]
    assert not ActivityTask.objects.exists()
    assert not InboxMessage.objects.exists()


def test_two_who_retry_are_one_retry(retrying):
    retrying.broken = {"b"}
    retrying.fail(two)
    retrying.client.retry_instance("one")
    with pytest.raises(IllegalTransition, match="it is Running"):
        retrying.client.retry_instance("one")
    retrying.durable.run()
    assert retrying.output() == ["a done", "b done"]
    assert retrying.ran["b"] == 3


# What is written.


def test_a_retry_is_a_visible_change_and_leaves_nothing_to_do_when_it_is_done(retrying):
    retrying.broken = {"b"}
    retrying.fail(two)
    before = Instance.objects.get()
    retrying.client.retry_instance("one")
    after = Instance.objects.get()
    assert after.revision > before.revision
    assert after.lease_token > before.lease_token
    assert (before.completed_at is None, after.completed_at) == (False, None)
    retrying.durable.run()
    assert retrying.output()
    assert not ActivityTask.objects.exists()
    assert not InboxMessage.objects.exists()


@pytest.mark.parametrize("retrying", ["generator"], indirect=True)
def test_the_number_of_statements_does_not_grow_with_the_history(retrying, django_assert_max_num_queries):
    def long(ctx, count):
        for n in range(count):
            ctx.set_kv_value(str(n), n)
            yield ctx.schedule_activity("act", str(n))
        yield ctx.all([ctx.schedule_timer(timedelta(days=n + 1)) for n in range(count)])

    definition = retrying.define(long)
    for key, count in (("short", 2), ("long", 100)):
        retrying.broken = {str(count - 1)}
        retrying.start(definition, key, count=count)
        assert retrying.status(key) == RuntimeStatus.FAILED
    with django_assert_max_num_queries(16) as short:
        retrying.client.retry_instance("short")
    with django_assert_max_num_queries(16) as long:
        retrying.client.retry_instance("long")
    assert len(long) == len(short)
    assert HistoryEvent.objects.filter(execution_number=2).count() == 6 + 300
