from __future__ import annotations

import pytest

from django_durable.engine import events
from django_durable.engine.errors import ActivityError, InvalidArgument, LimitExceeded, NotAwaitable, PayloadError
from django_durable.engine.retry import RetryPolicy

from .support import Host


def test_all_gives_values_and_texts_of_errors_in_the_order_asked_for(style) -> None:
    def story(ctx):
        found = yield ctx.all([ctx.schedule_activity("a"), ctx.schedule_activity("b"), ctx.schedule_timer(5)])
        return found

    host = Host(style(story))
    host.fire()
    host.complete("b", {"x": 1})
    host.fail("a", "ValueError", "no")

    assert host.output == [{"err": "Activity 'a' failed: ValueError: no"}, {"ok": {"x": 1}}, {"ok": None}]


def test_all_of_nothing_is_an_empty_list_at_once(style) -> None:
    def story(ctx):
        found = yield ctx.all([])
        return found

    host = Host(style(story))

    assert host.output == []
    assert host.kinds == ["OrchestrationStarted", "OrchestrationCompleted"]


def test_all_waits_for_the_others_when_one_failed(style) -> None:
    def story(ctx):
        yield ctx.all([ctx.schedule_activity("a"), ctx.schedule_activity("b")])

    host = Host(style(story))
    host.fail("a")

    assert not host.execution.finished
    assert "ActivityCancelRequested" not in host.kinds


def test_all_takes_what_is_done_already_and_one_future_twice(style) -> None:
    def story(ctx):
        first = ctx.schedule_activity("a")
        yield first
        found = yield ctx.all([first, first, ctx.utc_now()])
        return found

    host = Host(style(story))
    host.complete("a", 1)

    assert host.output[:2] == [{"ok": 1}, {"ok": 1}]


def test_an_error_without_a_text_is_named_in_all(style) -> None:
    def story(ctx):
        async def broken():
            raise KeyError

        async def odd():
            raise Odd

        found = yield ctx.all([broken(), odd()])
        return found

    assert Host(style(story)).output == [{"err": "KeyError"}, {"err": "<str() of this error raised ZeroDivisionError>"}]


class Odd(Exception):
    def __str__(self) -> str:
        return str(1 / 0)


def test_a_canceled_member_is_an_error_in_all(style) -> None:
    def story(ctx):
        first, second = ctx.schedule_activity("a"), ctx.schedule_activity("b")
        both = ctx.all([first, second])
        first.cancel()
        found = yield both
        return found

    host = Host(style(story))
    host.complete("b", 1)

    assert host.output == [{"err": "CancelledError"}, {"ok": 1}]


def test_race_gives_the_first_in_history_and_cancels_the_rest(style) -> None:
    def story(ctx):
        won = yield ctx.race(
            ctx.schedule_activity("a"),
            ctx.schedule_activity("b"),
            ctx.schedule_timer(5),
            ctx.wait_for_event("e"),
            ctx.dequeue_event("q"),
            ctx.schedule_sub_orchestration("story"),
        )
        return won

    host = Host(style(story))
    host.complete("b", "fast")

    assert host.output == {"index": 1, "value": "fast"}
    assert host.kinds[8:-1] == [
        "ActivityCancelRequested",
        "TimerCanceled",
        "ExternalSubscriptionCanceled",
        "QueueSubscriptionCanceled",
        "SubOrchestrationCancelRequested",
    ]
    assert [each.fact.source_seq for each in host.history[8:-1]] == [2, 4, 5, 6, 7]


def test_a_winner_that_failed_raises_and_the_loser_is_canceled(style) -> None:
    def story(ctx):
        try:
            yield ctx.race(ctx.schedule_activity("a"), ctx.schedule_activity("b"))
        except ActivityError as error:
            return error.message

    host = Host(style(story))
    host.fail("b", message="broken")

    assert host.output == "broken"
    assert [each.scheduled_seq for each in host.of(events.ActivityCancelRequested)] == [2]


def test_of_several_done_already_the_first_in_order_wins(style) -> None:
    def story(ctx):
        first = yield ctx.race(ctx.schedule_activity("a"), ctx.utc_now(), ctx.new_guid())
        return first["index"]

    host = Host(style(story))

    assert host.output == 1
    # The loser was taken back before it was recorded, so nothing of it is.
    assert host.kinds == ["OrchestrationStarted", "OrchestrationCompleted"]


def test_a_race_takes_two_or_more(style) -> None:
    def story(ctx):
        try:
            yield ctx.race(ctx.schedule_timer(5))
        except InvalidArgument as error:
            return str(error)

    assert Host(style(story)).output == "race() takes two or more futures, found 1."


def test_a_race_of_many_has_one_winner(style) -> None:
    def story(ctx):
        won = yield ctx.race(*[ctx.schedule_activity("a", n) for n in range(50)])
        return won

    host = Host(style(story))
    host.complete("a", "x", nth=31)

    assert host.output == {"index": 31, "value": "x"}
    assert len(host.of(events.ActivityCancelRequested)) == 49


def test_all_and_race_nest(style) -> None:
    def story(ctx):
        won = yield ctx.race(
            ctx.all([ctx.schedule_activity("a"), ctx.race(ctx.schedule_activity("b"), ctx.schedule_activity("c"))]),
            ctx.schedule_timer(50),
        )
        return won

    host = Host(style(story))
    host.complete("c", 3)
    host.complete("a", 1)

    assert host.output == {"index": 0, "value": [{"ok": 1}, {"ok": {"index": 1, "value": 3}}]}
    assert host.kinds[-2:] == ["TimerCanceled", "OrchestrationCompleted"]


def test_losing_a_race_cancels_everything_nested_in_the_loser(style) -> None:
    def story(ctx):
        won = yield ctx.race(
            ctx.all([ctx.schedule_activity("a"), ctx.race(ctx.schedule_activity("b"), ctx.schedule_activity("c"))]),
            ctx.schedule_timer(50),
        )
        return won["index"]

    host = Host(style(story))
    host.fire()

    assert host.output == 1
    assert [each.scheduled_seq for each in host.of(events.ActivityCancelRequested)] == [2, 3, 4]


def test_a_lost_dequeue_takes_no_message(style) -> None:
    def story(ctx):
        yield ctx.race(ctx.dequeue_event("q"), ctx.schedule_timer(50))
        message = yield ctx.dequeue_event("q")
        return message

    host = Host(style(story))
    host.fire()
    host.enqueue("q", "only")

    assert host.output == "only"


def test_a_lost_wait_takes_no_event(style) -> None:
    def story(ctx):
        yield ctx.race(ctx.wait_for_event("e"), ctx.schedule_timer(50))
        data = yield ctx.wait_for_event("e")
        return data

    host = Host(style(story))
    host.fire()
    host.raise_event("e", "only")

    assert host.output == "only"


def test_a_coroutine_may_be_a_member(style) -> None:
    def story(ctx):
        async def twice(name):
            return [await ctx.run(name), await ctx.run(name)]

        found = yield ctx.all([twice("a"), twice("b")])
        return found

    host = Host(style(story))
    for name, nth in (("a", 0), ("b", 0), ("b", 1), ("a", 1)):
        host.complete(name, nth, nth=nth)

    assert host.output == [{"ok": [0, 1]}, {"ok": [0, 1]}]


def test_a_generator_may_be_a_member_or_be_yielded_as_it_is() -> None:
    def twice(ctx, name):
        first = yield ctx.schedule_activity(name)
        second = yield ctx.schedule_activity(name)
        return [first, second]

    def story(ctx):
        both = yield ctx.all([twice(ctx, "a"), ctx.race(twice(ctx, "b"), ctx.schedule_timer(5))])
        alone = yield twice(ctx, "c")
        return [both, alone]

    host = Host(story)
    for name, nth in (("b", 0), ("a", 0), ("b", 1), ("a", 1), ("c", 0), ("c", 1)):
        host.complete(name, nth, nth=nth)

    assert host.output == [[{"ok": [0, 1]}, {"ok": {"index": 0, "value": [0, 1]}}], [0, 1]]


def test_canceling_a_generator_that_runs_beside_raises_at_its_yield() -> None:
    def work(ctx):
        try:
            yield ctx.schedule_activity("a")
        finally:
            yield ctx.schedule_activity("undo")

    def story(ctx):
        won = yield ctx.race(work(ctx), ctx.schedule_timer(5))
        yield ctx.wait_for_event("e")
        return won["index"]

    host = Host(story)
    host.fire()
    host.complete("undo")
    host.raise_event("e")

    assert host.output == 1
    assert len(host.of(events.ActivityCancelRequested)) == 1


def test_what_is_no_future_is_refused_in_all_and_race(style) -> None:
    def story(ctx):
        found = []
        for members in ([3], [None]):
            try:
                yield ctx.all(members)
            except NotAwaitable as error:
                found.append(str(error)[:40])
        return found

    assert Host(style(story)).output == [
        "The orchestration waits for int 3, expec",
        "The orchestration waits for NoneType Non",
    ]


def test_an_activity_can_be_refined_until_the_code_is_suspended(style) -> None:
    def story(ctx):
        task = ctx.schedule_activity("a", 1).with_tag("gpu").on_session("s")
        task.with_retry(RetryPolicy(max_attempts=5, timeout=250, total_timeout=900))
        yield task
        try:
            task.with_tag("cpu")
        except InvalidArgument as error:
            return str(error)

    host = Host(style(story))
    [scheduled] = host.of(events.ActivityScheduled)
    host.complete("a")

    assert (scheduled.tag, scheduled.session_id) == ("gpu", "s")
    assert scheduled.retry["max_attempts"] == 5
    assert (scheduled.start_to_close_ms, scheduled.schedule_to_close_ms) == (250, 900)
    assert host.output.startswith("with_tag() came too late: Activity 'a' was recorded")


def test_only_an_activity_can_be_refined(style) -> None:
    def story(ctx):
        found = []
        for future in (ctx.schedule_timer(5), ctx.utc_now(), ctx.wait_for_event("e")):
            for verb, argument in (("with_tag", "gpu"), ("on_session", "s"), ("with_retry", RetryPolicy())):
                try:
                    getattr(future, verb)(argument)
                except InvalidArgument as error:
                    found.append("refines an activity" in str(error))
        yield ctx.utc_now()
        return found

    assert Host(style(story)).output == [True] * 9


def test_a_tag_is_text_of_256_bytes_at_most(style) -> None:
    def story(ctx):
        task = ctx.schedule_activity("a").with_tag("é" * 128)
        for tag in ("", None, "é" * 129, "x" * 257, "nul\x00"):
            try:
                task.with_tag(tag)
            except (InvalidArgument, LimitExceeded) as error:
                ctx.set_kv_value(f"{tag!r:.8}", type(error).__name__)
        yield task

    host = Host(style(story))

    assert host.of(events.ActivityScheduled)[0].tag == "é" * 128
    assert [each.value for each in host.of(events.KeyValueSet)] == [
        f'"{name}"' for name in ("InvalidArgument",) * 2 + ("LimitExceeded",) * 2 + ("InvalidArgument",)
    ]


def test_a_value_that_does_not_decode_raises_at_the_wait_and_can_be_caught(style) -> None:
    def story(ctx):
        found = []
        for _ in range(2):
            try:
                yield ctx.wait_for_event("e", int)
            except ValueError as error:
                found.append(type(error).__name__)
        return found

    host = Host(style(story))
    host.raise_event("e", "seven")
    host.raise_event("e", "eight")

    assert host.output == ["ValueError", "ValueError"]


def test_whatever_a_type_of_the_author_raises_reaches_the_author(style) -> None:
    class Picky:
        def __init__(self, value):
            raise PayloadError("no") if value == 1 else KeyError(value)

    def story(ctx):
        found = []
        for _ in range(2):
            try:
                yield ctx.dequeue_event("q", Picky)
            except Exception as error:
                found.append(type(error).__name__)
        return found

    host = Host(style(story))
    host.enqueue("q", 1, 2)

    assert host.output == ["PayloadError", "KeyError"]


def test_canceling_before_the_code_is_suspended_leaves_no_trace(style) -> None:
    def story(ctx):
        for future in (
            ctx.schedule_activity("a"),
            ctx.schedule_timer(5),
            ctx.wait_for_event("e"),
            ctx.dequeue_event("q"),
            ctx.schedule_sub_orchestration("story"),
        ):
            future.cancel()
        data = yield ctx.wait_for_event("e")
        return data

    host = Host(style(story))
    assert host.kinds == ["OrchestrationStarted", "ExternalSubscribed"]
    host.raise_event("e", 1)

    assert host.output == 1


def test_canceling_twice_or_after_the_end_asks_for_nothing(style) -> None:
    def story(ctx):
        done, open = ctx.schedule_activity("a"), ctx.schedule_activity("b")
        yield done
        answers = [done.cancel(), open.cancel(), open.cancel()]
        yield ctx.schedule_activity("c")
        return answers

    host = Host(style(story))
    host.complete("a")
    host.complete("c")

    assert host.output == [False, True, False]
    assert [each.scheduled_seq for each in host.of(events.ActivityCancelRequested)] == [3]


def test_a_member_of_a_race_that_was_won_by_a_cancellation_cancels_the_race(style) -> None:
    def story(ctx):
        first, second = ctx.schedule_activity("a"), ctx.schedule_activity("b")
        race = ctx.race(first, second)
        yield ctx.schedule_activity("c")
        first.cancel()
        yield ctx.schedule_activity("d")
        return [race.cancelled(), second.cancelled()]

    host = Host(style(story))
    host.complete("c")
    host.complete("d")

    assert host.output == [True, True]


def _waits_for_a_list(ctx, calls):
    return (yield from calls)


def _waits_for_an_iterator(ctx, calls):
    return (yield from iter(calls))


def _waits_in_a_helper(ctx, calls):
    return (yield from _waits_for_a_list(ctx, calls))


@pytest.mark.parametrize("helper", [_waits_for_a_list, _waits_for_an_iterator, _waits_in_a_helper])
def test_yield_from_an_iterable_waits_for_each_as_a_loop_would(helper) -> None:
    def story(ctx):
        dropped = yield from helper(ctx, [ctx.schedule_activity("a"), ctx.schedule_activity("b")])
        last = yield ctx.schedule_activity("c")
        return [dropped, last]

    host = Host(story)
    host.complete("b", 2)
    host.complete("a", 1)
    host.complete("c", 3)

    assert host.output == [None, 3]


def test_an_error_is_raised_where_an_iterable_is_waited_for() -> None:
    def story(ctx):
        try:
            yield from [ctx.schedule_activity("a"), ctx.schedule_activity("b")]
        except ActivityError as error:
            return error.message

    host = Host(story)
    host.complete("a", 1)
    host.fail("b", "ValueError", "no")

    assert host.output == "no"


def test_yield_from_a_future_returns_its_result() -> None:
    def story(ctx):
        return (yield from ctx.schedule_activity("a"))

    host = Host(story)
    host.complete("a", 1)

    assert host.output == 1
