"""Generators, in all styles, with a hot cache and with none, and replayed after they completed."""

from __future__ import annotations

import operator
from collections.abc import AsyncGenerator, Iterator
from datetime import timedelta
from typing import Annotated, Any

import pytest

from django_durable import InvalidArgument, Reducer, RetryPolicy, StreamClosed
from django_durable.engine.states import RuntimeStatus
from django_durable.models import StreamItem

from .generator_stories import CALLED
from .orchestrations import PAIRS
from .test_verbs import completed

Words = Annotated[list[str], Reducer(operator.add)]


@pytest.fixture(autouse=True)
def counted():
    CALLED.clear()
    return CALLED


def test_what_is_yielded_is_folded_into_the_result(run, style):
    key = run.start(PAIRS["generates"][style])
    run.drain()
    assert completed(run, key) == [["a", "b", "c"], ["a", "d", "e"], "Progress", 30, 16, 16]
    assert run.leftovers(key) == {}


def test_partial_results_are_a_stream_that_ends_with_the_generator(run, style):
    key = run.start(PAIRS["generates"][style])
    run.drain()
    assert [each.name for each in run.client.list_streams(key)] == [
        *("add_up-4", "add_up_async-5", "count_pages-3", "spell-1", "spell_async-2")
    ]
    page = run.client.read_stream(key, "spell-1")
    assert ([each.value for each in page.items], page.ended, page.reason) == ([["a"], ["b"], ["c"]], True, None)
    assert "StreamItemSent" not in run.kinds(key)


def test_the_next_attempt_goes_on_from_what_was_folded(run, style):
    key = run.start(PAIRS["stumbles"][style])
    run.drain()
    assert completed(run, key) == [["a", "b", "c", "d", "e"], ["f", "g", "h", "i", "j"]]
    assert set(CALLED.values()) == {1}
    assert len(run.client.open_stream(key, "spell_and_stumble-1").collect()) == 5


def test_the_error_of_a_generator_keeps_its_type_and_ends_the_stream(run, style):
    key = run.start(PAIRS["spoils"][style])
    run.drain()
    assert completed(run, key) == ["ValueError", "spoiled"]
    with pytest.raises(StreamClosed, match="ValueError: spoiled"):
        run.client.open_stream(key, "spoil-1").collect()


def test_code_reads_partial_results_as_they_come(run, style):
    key = run.start(PAIRS["follows"][style])
    run.drain()
    assert completed(run, key) == [["a", "b", "c"], ["a", "b", "c"]]
    assert run.client.open_stream(key, "words").collect() == [["a"], ["b"], ["c"]]


def test_partial_results_end_with_the_error_of_the_generator(run, style):
    key = run.start(PAIRS["follows_badly"][style])
    run.drain()
    assert completed(run, key) == [["good"], "ValueError"]


def test_a_retried_instance_goes_on_from_what_was_folded_and_its_stream_with_it(durable, registry):
    broken = [True]

    @registry.activity("spell")
    def spell(said: Words, text: str) -> Iterator[list[str]]:
        for word in text.split()[len(said) :]:
            if word == "c" and broken:
                raise ConnectionError(broken.pop())
            yield [word]

    @registry.orchestration("flow")
    async def flow(ctx) -> list[str]:
        async with ctx.stream(spell, [], "a b c d") as (partials, _):
            return [word async for words in partials for word in words]

    flow.start(instance_id="it")
    durable.run()
    assert durable.client.get_status("it").runtime_status == RuntimeStatus.FAILED
    durable.client.retry_instance("it")
    durable.run()
    assert durable.client.get_status("it").output == ["a", "b", "c", "d"]
    page = durable.client.read_stream("it", "spell-1")
    assert ([each.value for each in page.items], page.ended) == ([["a"], ["b"], ["c"], ["d"]], True)


def test_a_fork_begins_what_it_runs_again_with_nothing_folded(durable, registry):
    broken = [True]

    @registry.activity("spell")
    def spell(said: Words) -> Iterator[list[str]]:
        yield [f"{len(said)}"]
        if broken:
            raise ConnectionError(broken.pop())
        yield ["end"]

    @registry.orchestration("flow")
    def flow(ctx):
        return (yield ctx.run(spell, []))

    flow.start(instance_id="it")
    durable.run()
    durable.client.fork_instance("it", "again")
    durable.run()
    assert durable.client.get_status("again").output == ["0", "end"]
    assert durable.client.open_stream("again", "spell-1").collect() == [["0"], ["end"]]


def test_every_execution_has_streams_of_its_own(durable, registry):
    @registry.activity("spell")
    def spell(said: Words, word: str) -> Iterator[list[str]]:
        yield [word]

    @registry.orchestration("flow")
    def flow(ctx, left: int = 1):
        found = yield ctx.run(spell, [], f"left {left}")
        return ctx.continue_as_new(left - 1) if left else found

    flow.start(instance_id="it")
    durable.run()
    assert durable.client.get_status("it").output == ["left 0"]
    assert durable.client.open_stream("it", "spell-1").collect() == [["left 1"]]
    assert durable.client.open_stream("it", "spell-2-1").collect() == [["left 0"]]


def test_a_canceled_generator_ends_and_so_does_its_stream(durable, registry):
    @registry.activity("spell", total_timeout=timedelta(hours=1))
    def spell(said: Words) -> Iterator[list[str]]:
        yield ["never"]

    @registry.orchestration("flow")
    async def flow(ctx):
        async with ctx.stream(spell, []).with_name("words"):
            pass
        return "done"

    flow.start(instance_id="it")
    durable.run()
    assert durable.client.get_status("it").output == "done"
    page = durable.client.read_stream("it", "words")
    assert (page.items, page.ended, page.reason) == ((), True, "It was called off.")


def test_an_activity_may_become_a_generator_while_it_is_open(durable, registry):
    """What was scheduled as a function that returns has no stream, and needs none."""
    registry.activity("work")(_returning("work", 1))

    @registry.orchestration("flow")
    def flow(ctx):
        before = yield ctx.schedule_activity("work")
        yield ctx.wait_for_event("go")
        return [before, (yield ctx.schedule_activity("work"))]

    flow.start(instance_id="it")
    durable.run()
    registry.activity("work")(_yielding("work"))
    durable.restart()
    durable.client.raise_event("it", "go")
    durable.run()
    assert durable.client.get_status("it").output == [1, 3]


def _returning(name: str, value: int) -> Any:
    def work() -> int:
        return value

    work.__qualname__ = name
    return work


def _yielding(name: str) -> Any:
    def work(total: Annotated[int, Reducer(operator.add)] = 0) -> Iterator[int]:
        yield 1
        yield 2

    work.__qualname__ = name
    return work


def test_what_cannot_be_a_generator_is_refused_with_what_to_write(durable, registry):
    def nothing() -> Iterator[int]:
        yield 1

    def unreduced(total: int) -> Iterator[int]:
        yield 1

    def unreduced_step(total: int) -> Iterator[int]:
        yield 1

    async def unreduced_async(total: int) -> AsyncGenerator[int, int]:
        yield 1

    with pytest.raises(InvalidArgument, match=r"is a generator and takes no state. The first parameter"):
        registry.activity(nothing)
    with pytest.raises(InvalidArgument, match=r"is a generator, whose partial results are stored while it runs"):
        registry.activity(atomic=True)(unreduced)
    activity = registry.activity("unreduced")(unreduced)
    assert "has no Reducer. Its first parameter is what" in activity.hint_problems()[-1]

    @registry.orchestration("flow")
    async def flow(ctx):
        found = []
        for each in (activity, unreduced_step, unreduced_async, nothing):
            try:
                await ctx.run(each, 0)
            except InvalidArgument as error:
                found.append(str(error).partition(" is a generator")[0].rpartition(".")[2])
        try:
            ctx.stream(len, "abc")
        except InvalidArgument as error:
            found.append(str(error))
        return found

    flow.start(instance_id="it")
    durable.run()
    assert durable.client.get_status("it").output == [
        "Activity 'unreduced'",
        "unreduced_step'",
        "unreduced_async'",
        "nothing'",
        "stream() takes a generator, found 'local:builtins.len', which returns. Use run().",
    ]


def test_a_generator_that_returns_something_fails_and_says_what_to_do(durable, registry):
    @registry.activity("spell")
    def spell(said: Words) -> Iterator[list[str]]:
        yield ["a"]
        return ["b"]

    @registry.orchestration("flow")
    def flow(ctx):
        return (yield ctx.run(spell, []))

    flow.start(instance_id="it")
    durable.run()
    assert "The generator returned ['b']." in durable.client.get_instance_info("it").failure.message
    assert StreamItem.objects.filter(closes=False).count() == 1


def test_a_stream_is_not_trimmed_while_its_generator_may_need_it(durable, registry):
    @registry.activity("spell", retry=RetryPolicy(max_attempts=2, backoff="fixed", initial=timedelta(minutes=1)))
    def spell(ctx, said: Words) -> Iterator[list[str]]:
        yield [f"attempt {ctx.attempt}"]
        if ctx.attempt == 1:
            raise ConnectionError("again")

    @registry.orchestration("flow")
    def flow(ctx):
        return (yield ctx.run(spell, []))

    flow.start(instance_id="it")
    durable.run()
    assert durable.client.trim_stream("it", "spell-1", keep=0).items_deleted == 0
    durable.run_to_the_end()
    assert durable.client.get_status("it").output == ["attempt 1", "attempt 2"]
    assert durable.client.trim_stream("it", "spell-1", keep=0).items_deleted == 2
