"""The defects of the reference system, each shown absent.

The numbers are those of its list in `duroxide-semantics.md`; its other limitations are in `test_reference_limits.py`.
`ELSEWHERE` names the tests of what needs a process, a thread or another suite; a test checks that they exist.

    A1   a message to an unknown instance blocks nobody      A11  siblings are canceled when a parent fails
    A2   any number of buffered messages is drained          A12  a canceled orchestration compensates
    A3   events are kept before the wait and across          A13  `finally` blocks of suspended code do nothing
         continue-as-new                                     A14  a duplicate start is reported
    A4   a burst of events is taken one by one               A15  durations are checked at the call
    A5   two runtimes in one process keep apart              A16  diverged code parks its instance, to be repaired
    A6   a graceful stop hands work back at once             A17  steps taken out of the end are noticed
    A7   timeouts and backoffs are what they say             A18  race of any number, nested with all
    A8   KV is pruned by the history's clock                 A19  a stalled worker commits nothing
    A9   the custom status is right after continue-as-new    A20  kill -9 at any moment loses and doubles nothing
    A10  nothing over a limit is stored
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from django_durable import (
    ActivityTimeout,
    CancelledError,
    InstanceAlreadyExists,
    InstanceNotFound,
    InvalidArgument,
    LimitExceeded,
    RetryPolicy,
)
from django_durable.registry import Registry
from django_durable.testing import Durable, assert_replays

from .measures import exists, kinds, row_counts

ELSEWHERE = {
    "A6 a graceful stop hands work back at once": (
        "acceptance/test_stops.py::test_the_first_signal_lets_activities_end_and_records_them",
        "acceptance/test_stops.py::test_what_does_not_end_in_time_is_handed_back_without_waiting_for_its_lease",
        "acceptance/test_stops.py::test_nothing_runs_twice_while_workers_are_replaced_one_by_one",
    ),
    "A19 a stalled worker commits nothing": (
        "acceptance/test_stalls.py::test_a_stalled_worker_commits_nothing_and_then_works_on",
        "acceptance/test_stalls.py::test_a_stalled_worker_cannot_complete_what_another_one_is_running",
    ),
    "A20 kill -9 at any moment": (
        "conformance/test_crashes.py::test_a20_a_crash_before_any_write_loses_and_doubles_nothing",
        "acceptance/test_kills.py::test_what_was_committed_is_kept_and_what_was_running_runs_again",
        "acceptance/test_random_kills.py::test_nothing_is_lost_or_doubled_by_kills_at_any_moment",
    ),
}


@pytest.mark.parametrize("place", [place for places in ELSEWHERE.values() for place in places])
def test_what_is_shown_elsewhere_is_there(place):
    assert exists(place)


# A1 to A5: messages, and two runtimes.


def test_a1_a_message_to_an_unknown_instance_blocks_nobody(durable, registry):
    @registry.orchestration("waits")
    def waits(ctx):
        return (yield ctx.wait_for_event("go"))

    durable.client.start_orchestration("real", "waits")
    before = row_counts()
    for send in (
        lambda: durable.client.raise_event("typo", "go", 1),
        lambda: durable.client.enqueue_event("typo", "go", 1),
        lambda: durable.client.cancel_instance("typo"),
    ):
        with pytest.raises(InstanceNotFound, match="There is no instance 'typo'."):
            send()
    assert row_counts() == before
    durable.client.raise_event("real", "go", "went")
    durable.run()
    assert durable.client.get_output("real") == "went"


def test_a2_a_thousand_buffered_messages_are_drained_and_more_survive_continue_as_new(durable, registry):
    @registry.orchestration("drains")
    def drains(ctx, counts: list[int]):
        seen = []
        for _ in range(counts[0]):
            seen.append((yield ctx.dequeue_event("box")))
        if counts[1:]:
            ctx.continue_as_new(counts[1:])
            return None
        return [seen[0], seen[-1], len(seen)]

    durable.client.start_orchestration("it", "drains", [1000, 150, 130])
    for number in range(1280):
        durable.client.enqueue_event("it", "box", number)
    durable.run()
    assert durable.client.get_output("it") == [1150, 1279, 130]
    assert durable.client.list_executions("it") == [1, 2, 3]


def test_a3_events_are_kept_before_the_first_turn_before_the_wait_and_across_continue_as_new(durable, registry):
    @registry.orchestration("late")
    def late(ctx, left: int):
        if left:
            yield ctx.schedule_timer(1000)
            ctx.continue_as_new(left - 1)
            return None
        return [
            (yield ctx.wait_for_event("sign")),
            (yield ctx.wait_for_event("sign")),
            (yield ctx.wait_for_event("sign")),
        ]

    durable.client.start_orchestration("it", "late", 2)
    durable.client.raise_event("it", "sign", "before the first turn")
    durable.run()
    durable.client.raise_event("it", "sign", "in the first execution")
    durable.advance(seconds=1)
    durable.client.raise_event("it", "sign", "in the second")
    durable.restart()
    durable.advance(seconds=1)
    assert durable.client.get_output("it") == ["before the first turn", "in the first execution", "in the second"]


def test_a4_a_burst_of_events_is_taken_one_by_one_by_waits_in_sequence(durable, registry):
    @registry.orchestration("sequence")
    def sequence(ctx):
        seen = []
        for _ in range(5):
            seen.append((yield ctx.wait_for_event("sign")))
            yield ctx.schedule_activity("nothing")
        return seen

    @registry.activity("nothing")
    def nothing() -> None:
        pass

    durable.client.start_orchestration("it", "sequence")
    durable.run()
    for number in range(5):
        durable.client.raise_event("it", "sign", number)
    durable.run()
    assert durable.client.get_output("it") == [0, 1, 2, 3, 4]


def test_a5_two_runtimes_in_one_process_run_their_own_functions_of_the_same_name(db):
    def runtime(answer: str) -> Durable:
        own = Registry()

        @own.activity("same")
        def same() -> str:
            return answer

        @own.orchestration("same")
        def orchestration(ctx):
            return (yield ctx.schedule_activity("same"))

        return Durable(own)

    one, two = runtime("one"), runtime("two")
    for number, each in enumerate([one, two, one]):
        each.client.start_orchestration(f"it-{number}", "same")
        each.run()
    assert [one.client.get_output(f"it-{number}") for number in range(3)] == ["one", "two", "one"]
    one.close()
    two.close()


# A7 to A10: retries, KV and custom status.


def test_a7_a_total_timeout_covers_all_attempts_and_pauses(durable, registry):
    runs = Counter()

    @registry.activity("fails")
    def fails():
        runs["fails"] += 1
        raise ConnectionError("again")

    @registry.orchestration("patient")
    def patient(ctx):
        started = yield ctx.utc_now()
        policy = {"max_attempts": 100, "backoff": "fixed", "initial_ms": 4_000, "total_timeout_ms": 10_000}
        try:
            yield ctx.schedule_activity_with_retry("fails", None, policy)
        except ActivityTimeout as error:
            return [error.error_type, (yield ctx.utc_now()) - started <= 10_500]

    durable.client.start_orchestration("it", "patient")
    durable.run_to_the_end()
    assert durable.client.get_output("it") == ["ConnectionError", True]
    assert runs["fails"] == 3


def test_a7_backoff_none_does_not_wait_and_a_timeout_is_tried_again(durable, registry):
    @registry.activity("slow_at_first")
    def slow_at_first(ctx) -> int:
        if ctx.attempt < 3:
            durable.clock.advance(timedelta(seconds=2))
        return ctx.attempt

    @registry.orchestration("tries")
    def tries(ctx):
        policy = RetryPolicy(max_attempts=3, backoff="none", timeout=timedelta(seconds=1))
        return (yield ctx.schedule_activity_with_retry("slow_at_first", None, policy))

    durable.client.start_orchestration("it", "tries")
    durable.run()
    assert durable.client.get_output("it") == 3


@pytest.mark.parametrize(
    "policy",
    [{"backoff": "sometimes"}, {"backoff_strategy": "linear"}, {"max_attempts": 0}, {"timeout_ms": -1}, {"jitter": 2}],
)
def test_a7_a_policy_that_cannot_be_is_refused_at_the_call(durable, registry, policy):
    @registry.orchestration("asks")
    def asks(ctx):
        try:
            ctx.schedule_activity_with_retry("nothing", None, policy)
        except InvalidArgument as error:
            return str(error)
        yield

    @registry.activity("nothing")
    def nothing() -> None:
        pass

    durable.client.start_orchestration("it", "asks")
    durable.run()
    assert next(iter(policy)).removesuffix("_ms") in durable.client.get_output("it")
    assert kinds(durable, "it") == ["OrchestrationStarted", "OrchestrationCompleted"]


@pytest.mark.parametrize("capacity", [0, 1000], ids=["cold", "hot"])
def test_a8_kv_is_pruned_by_the_historys_clock_also_keys_of_the_same_execution(db, registry, capacity):
    @registry.orchestration("prunes")
    def prunes(ctx):
        ctx.set_kv_value("old", 1)
        yield ctx.schedule_timer(10_000)
        ctx.set_kv_value("new", 2)
        now = yield ctx.utc_now()
        pruned = ctx.prune_kv_values_updated_before(now)
        yield ctx.schedule_timer(10_000)
        later = ctx.prune_kv_values_updated_before(now + 3_600_000)
        yield ctx.schedule_timer(10_000)
        return [pruned, later, ctx.get_kv_all_keys()]

    durable = Durable(registry, hot_executions=capacity)
    durable.client.start_orchestration("it", "prunes")
    durable.run_to_the_end()
    assert durable.client.get_output("it") == [1, 1, []]
    assert_replays(registry.environment, durable.client.read_execution_history("it"))
    durable.close()


@pytest.mark.parametrize("capacity", [0, 1000], ids=["cold", "hot"])
def test_a9_the_custom_status_is_what_was_set_last_also_after_continue_as_new(db, registry, capacity):
    @registry.orchestration("tells")
    def tells(ctx, generation: int):
        seen = [ctx.get_custom_status()]
        ctx.set_custom_status(f"{generation} begins")
        yield ctx.schedule_timer(1000)
        seen.append(ctx.get_custom_status())
        ctx.set_custom_status(f"{generation} ends")
        if generation < 2:
            ctx.continue_as_new(generation + 1)
            return None
        yield ctx.schedule_timer(1000)
        return [*seen, ctx.get_custom_status()]

    durable = Durable(registry, hot_executions=capacity)
    durable.client.start_orchestration("it", "tells", 1)
    durable.run_to_the_end()
    assert durable.client.get_output("it") == ["1 ends", "2 begins", "2 ends"]
    assert durable.client.get_status("it").custom_status == "2 ends"
    durable.close()


def test_a10_what_is_over_a_limit_is_refused_at_the_call_and_not_stored(durable, registry):
    @registry.orchestration("greedy")
    def greedy(ctx):
        refused = []
        ctx.set_custom_status("fits")
        for number in range(150):
            ctx.set_kv_value(f"key{number}", number)
        for call in (
            lambda: ctx.set_kv_value("one more", 1),
            lambda: ctx.set_kv_value("key0", "x" * 65_535),
            lambda: ctx.set_custom_status("x" * 262_143),
        ):
            try:
                call()
            except LimitExceeded as error:
                refused.append([error.found, error.limit])
        yield ctx.schedule_timer(1000)
        return refused

    durable.client.start_orchestration("it", "greedy")
    durable.run_to_the_end()
    assert durable.client.get_output("it") == [[151, 150], [65_537, 65_536], [262_145, 262_144]]
    assert durable.client.get_kv_all_values("it") == {f"key{number}": number for number in range(150)}
    assert durable.client.get_status("it").custom_status == "fits"


def test_a10_a_value_over_the_limit_that_nobody_catches_fails_the_instance_and_is_not_stored(durable, registry):
    @registry.orchestration("careless")
    def careless(ctx):
        yield ctx.schedule_timer(1000)
        ctx.set_kv_value("big", "x" * 65_535)

    durable.client.start_orchestration("it", "careless")
    durable.run_to_the_end()
    assert durable.client.get_status("it").error.error_type.endswith("LimitExceeded")
    assert durable.client.get_kv_all_values("it") == {}


# A11 to A13: ends.


def test_a11_siblings_and_their_children_are_canceled_when_a_parent_fails(durable, registry):
    @registry.orchestration("waits")
    def waits(ctx, depth: int):
        try:
            if depth:
                yield ctx.schedule_sub_orchestration_with_id("waits", f"{ctx.instance_id}-child", depth - 1)
            yield ctx.wait_for_event("never")
        except CancelledError:
            ctx.set_custom_status("cleaned up")
            raise

    @registry.orchestration("fails")
    def fails(ctx):
        yield ctx.schedule_timer(1000)
        raise ValueError("broken")

    @registry.orchestration("parent")
    def parent(ctx):
        sibling = ctx.schedule_sub_orchestration_with_id("waits", "sibling", 1)
        yield ctx.schedule_sub_orchestration_with_id("fails", "failing")
        yield sibling

    durable.client.start_orchestration("parent", "parent")
    durable.run_to_the_end()
    found = {each: durable.client.get_status(each) for each in ("parent", "failing", "sibling", "sibling-child")}
    assert {key: each.runtime_status for key, each in found.items()} == {
        "parent": "Failed",
        "failing": "Failed",
        "sibling": "Canceled",
        "sibling-child": "Canceled",
    }
    assert found["sibling"].custom_status == found["sibling-child"].custom_status == "cleaned up"


def test_a12_a_canceled_orchestration_compensates_and_ends_canceled(durable, registry):
    done = []

    @registry.activity("note")
    def note(what: str) -> str:
        done.append(what)
        return what

    @registry.orchestration("careful")
    def careful(ctx):
        yield ctx.schedule_activity("note", "booked")
        try:
            yield ctx.wait_for_event("never")
        except CancelledError:
            yield ctx.schedule_activity("note", "unbooked")
            yield ctx.schedule_timer(1000)
            raise

    durable.client.start_orchestration("it", "careful")
    durable.run()
    durable.client.cancel_instance("it", "changed my mind")
    durable.run_to_the_end()
    status = durable.client.get_status("it")
    assert status.runtime_status == "Canceled"
    assert status.error.error_type == "CancelledError"
    assert done == ["booked", "unbooked"]
    assert durable.client.read_execution_history("it")[-1].fact.reason == "changed my mind"


@pytest.mark.parametrize("capacity", [0, 1000], ids=["cold", "hot"])
def test_a13_finally_blocks_of_suspended_code_do_nothing_and_those_of_ended_code_run_once(db, registry, capacity):
    done = []

    @registry.activity("note")
    def note(what: str) -> None:
        done.append(what)

    @registry.orchestration("tidy")
    def tidy(ctx):
        try:
            for _ in range(3):
                yield ctx.schedule_timer(1000)
        finally:
            ctx.set_custom_status("tidied")
            ctx.set_kv_value("tidied", ctx.get_kv_length())
            ctx.schedule_activity("note", "tidied")

    durable = Durable(registry, hot_executions=capacity)
    durable.client.start_orchestration("it", "tidy")
    durable.run()
    durable.restart()
    durable.advance(seconds=1)
    assert durable.client.get_status("it").custom_status is None
    assert durable.client.get_kv_all_values("it") == {}
    durable.run_to_the_end()
    assert durable.client.get_status("it").runtime_status == "Completed"
    assert done == ["tidied"]
    counts = Counter(kinds(durable, "it"))
    assert (counts["CustomStatusUpdated"], counts["KeyValueSet"], counts["ActivityScheduled"]) == (1, 1, 1)
    durable.close()


# A14, A15: what is refused at the call.


def test_a14_a_duplicate_start_is_reported(durable, registry):
    @registry.orchestration("echoes")
    def echoes(ctx, value):
        return value
        yield

    first = durable.client.start_orchestration("it", "echoes", "a")
    again = durable.client.start_orchestration("it", "echoes", "a")
    assert (first.created, again.created) == (True, False)
    before = row_counts()
    with pytest.raises(InstanceAlreadyExists, match="Instance 'it' already exists with another input."):
        durable.client.start_orchestration("it", "echoes", "b")
    durable.run()
    with pytest.raises(InstanceAlreadyExists, match="another input"):
        durable.client.start_orchestration("it", "echoes", "b")
    assert row_counts()["Instance"] == before["Instance"] == 1
    assert durable.client.get_output("it") == "a"


@pytest.mark.parametrize("delay", [-1, 1.5, "1000", None, True, 10**19, timedelta(days=40_000), timedelta(seconds=-1)])
def test_a15_a_duration_that_cannot_be_is_refused_at_the_call(durable, registry, delay):
    @registry.orchestration("sleeps")
    def sleeps(ctx):
        try:
            ctx.schedule_timer(delay)
        except InvalidArgument as error:
            return str(error)
        yield

    durable.client.start_orchestration("it", "sleeps")
    durable.run()
    assert durable.client.get_output("it")
    assert kinds(durable, "it") == ["OrchestrationStarted", "OrchestrationCompleted"]


# A16, A17: code that changed. More of it in test_blocked.py.


def test_a16_diverged_code_parks_its_instance_which_goes_on_when_the_code_is_repaired(durable, registry):
    first = {"activity": "book"}

    @registry.activity("book")
    def book() -> str:
        return "booked"

    @registry.activity("charge")
    def charge() -> str:
        return "charged"

    @registry.orchestration("trip")
    def trip(ctx):
        done = yield ctx.schedule_activity(first["activity"])
        return [done, (yield ctx.wait_for_event("go"))]

    durable.client.start_orchestration("it", "trip")
    durable.run()
    first["activity"] = "charge"
    durable.restart()
    durable.client.raise_event("it", "go", "went")
    durable.run()
    status = durable.client.get_status("it")
    assert status.runtime_status == "Blocked"
    assert "name: recorded 'book', requested 'charge'" in status.blocked_reason.message
    first["activity"] = "book"
    durable.client.resume_instance("it")
    durable.run()
    assert durable.client.get_output("it") == ["booked", "went"]


def test_a17_steps_taken_out_of_the_end_of_the_code_are_noticed(durable, registry):
    steps = ["one", "two", "three"]

    @registry.activity("echo")
    def echo(value):
        return value

    @registry.orchestration("shrinks")
    def shrinks(ctx):
        for each in list(steps):
            yield ctx.schedule_activity("echo", each)
        if len(steps) < 3:
            return "early"
        yield ctx.wait_for_event("go")
        return "whole"

    durable.client.start_orchestration("it", "shrinks")
    durable.run()
    steps.pop()
    durable.restart()
    durable.client.raise_event("it", "go")
    durable.run()
    status = durable.client.get_status("it")
    assert status.runtime_status == "Blocked"
    assert status.blocked_reason.error_type.endswith("NondeterminismError")
    assert (
        "recorded ActivityScheduled echo, the code now requests OrchestrationCompleted" in status.blocked_reason.message
    )
    steps.append("three")
    durable.client.resume_instance("it")
    durable.run()
    assert durable.client.get_output("it") == "whole"


# A18: combinators.


def test_a18_race_takes_any_number_and_nests_with_all(durable, registry):
    @registry.activity("echo")
    def echo(value):
        return value

    @registry.orchestration("nests")
    def nests(ctx):
        timers = [ctx.schedule_timer(1000 * seconds) for seconds in (4, 3, 2)]
        five = yield ctx.race(ctx.wait_for_event("never"), *timers, ctx.dequeue_event("never"))
        never = ctx.wait_for_event("never")
        nested = yield ctx.all(
            [
                ctx.race(
                    ctx.all([ctx.schedule_activity("echo", 1), ctx.race(ctx.schedule_activity("echo", 2), never)]),
                    ctx.schedule_timer(60_000),
                ),
                ctx.all([]),
            ]
        )
        return [five["index"], nested]

    durable.client.start_orchestration("it", "nests")
    durable.run_to_the_end()
    inner = [{"ok": 1}, {"ok": {"index": 0, "value": 2}}]
    assert durable.client.get_output("it") == [3, [{"ok": {"index": 0, "value": inner}}, {"ok": []}]]
