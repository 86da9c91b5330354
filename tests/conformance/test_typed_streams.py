"""Annotations say what comes back: of items, signals, promises, partial results and states, in both styles."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import Annotated

import pytest

from django_durable import InvalidArgument, Provided, Reducer, Signal, Stream, StreamWriter
from django_durable.testing import assert_replays

from .test_typed_payloads import CASES


@pytest.mark.parametrize(("kind", "value"), CASES, ids=[str(kind) for kind, _ in CASES])
def test_what_streams_carry_comes_back_as_what_the_annotation_says(registry, durable, told, kind, value):
    seen = []

    def check(found):
        seen.append(found == value and type(found) is type(value))
        return found

    def latest(state=None):
        check((yield value))

    async def latest_async(state=None):
        check((yield value))

    latest.__annotations__ = {"state": Annotated[kind, Reducer()], "return": Iterator[kind]}
    latest_async.__annotations__ = {"state": Annotated[kind, Reducer()], "return": AsyncGenerator[kind, kind]}

    def relay(item, said=Provided):
        said.send(check(item))

    relay.__annotations__ = {"item": kind, "said": StreamWriter[kind]}
    generators = (registry.activity("latest")(latest), latest_async)
    relaying = registry.activity("relay")(relay)

    def story(ctx, orders=Provided, said=Provided, stop=Provided):
        for each in (yield orders.next()):
            yield said.send(check(each))
            yield ctx.schedule_activity(relaying, each)
        check((yield stop.wait()))
        promise = ctx.create_future(kind)
        ctx.set_custom_status(promise.promise_id)
        check((yield promise))
        for each in generators:
            made = ctx.stream(each)
            for partial in (yield made.partials.next()):
                check(partial)
            check((yield made.result))

    made = told(story)
    made.__annotations__ = {"orders": Stream[kind], "said": StreamWriter[kind], "stop": Signal[kind]}
    registry.orchestration("story")(made)
    client = durable.client
    client.start_orchestration("s", "story")
    client.send_to_stream("s", "orders", value)
    client.send_to_stream("s", "stop", value)
    durable.run()
    client.complete_promise("s", client.get_status("s").custom_status, value)
    durable.run()
    assert client.get_output("s") is None
    for name in ("said", "latest-1"):
        for item in client.open_stream("s", name, type=kind).collect():
            check(item)
    assert seen == [True] * (2 + 2 + 2 * 3 + 3)
    assert_replays(registry.environment, client.read_execution_history("s"))


@pytest.mark.parametrize(("kind", "value"), CASES, ids=[str(kind) for kind, _ in CASES])
def test_an_answer_is_checked_and_comes_back_as_what_was_asked_for(registry, durable, kind, value):
    @registry.orchestration("asks")
    def asks(ctx):
        answer = yield ctx.request("?", kind)
        return answer == value and type(answer) is type(value)

    durable.client.start_orchestration("s", "asks")
    durable.run()
    [asked] = durable.client.list_requests(instance_id="s")
    with pytest.raises(InvalidArgument, match="does not fit"):
        durable.client.complete_promise("s", asked.promise_id, {"no": ["such", {"thing": object.__name__}]})
    durable.client.complete_promise("s", asked.promise_id, value)
    durable.run()
    assert durable.client.get_output("s") is True
