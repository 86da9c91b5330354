"""Codecs by name: what is stored, what the code gets, and what a missing one does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import pytest

from django_durable import RetryPolicy
from django_durable.engine.errors import CodecError, InstanceAlreadyExists
from django_durable.engine.states import RuntimeStatus
from django_durable.models import ActivityTask, Execution, HistoryEvent, InboxMessage, KeyValue
from django_durable.testing import assert_replays

CODECS = {"turned": f"{__package__}.codecs.Turned", "broken": f"{__package__}.codecs.Broken"}
SECRET = "4929-1234"


@dataclass
class Card:
    number: str


@pytest.fixture(params=["generator", "async"])
def shop(request, registry, settings):
    """An orchestration of either style that stores by its own codec: activity, child, event, queue, KV, continue."""
    settings.DJANGO_DURABLE = {"CODECS": CODECS}

    @registry.activity("mask")
    def mask(card: Card) -> Card:
        return Card(card.number[:4])

    @registry.orchestration("child", codec="turned")
    def child(ctx, card: Card) -> Card:
        return card

    def story(ctx, card: Card, again: bool = True):
        ctx.set_kv_value("card", card)
        masked = yield ctx.schedule_activity(mask, card)
        paid = yield ctx.schedule_sub_orchestration(child, card)
        said = yield ctx.wait_for_event("said", Card)
        taken = yield ctx.dequeue_event("queue", Card)
        ctx.set_custom_status({"paid": True})
        if again:
            yield ctx.continue_as_new(card, False)
        return [masked.number, paid.number, said.number, taken.number, ctx.get_kv_value("card", Card).number]

    if request.param == "generator":
        registry.orchestration("shop", codec="turned")(story)
    else:

        @registry.orchestration("shop", codec="turned")
        async def shop(ctx, card: Card, again: bool = True):
            told = story(ctx, card, again)
            value = None
            while True:
                try:
                    value = await told.send(value)
                except StopIteration as end:
                    return end.value

    return registry


def stored_texts() -> str:
    return "\n".join(
        str(value)
        for model, columns in {
            HistoryEvent: ("payload", "data"),
            Execution: ("input", "output"),
            KeyValue: ("value",),
            ActivityTask: ("input",),
            InboxMessage: ("payload", "data"),
        }.items()
        for row in model.objects.values_list(*columns)
        for value in row
    )


def send(durable):
    for _ in range(2):
        durable.client.raise_event("s", "said", Card("event"))
        durable.client.enqueue_event("s", "queue", Card("queued"))
        durable.run()


def test_what_an_orchestration_stores_passes_its_codec_and_its_code_sees_none_of_it(shop, durable):
    durable.client.start_orchestration("s", "shop", {"card": {"number": SECRET}})
    durable.run()
    assert SECRET not in stored_texts()
    send(durable)
    status = durable.client.get_status("s")
    assert status.output == ["4929", SECRET, "event", "queued", SECRET]
    assert durable.client.get_kv_value("s", "card") == {"number": SECRET}
    assert SECRET not in stored_texts()
    assert status.custom_status == {"paid": True}
    assert '{"paid":true}' in stored_texts()


def test_a_codec_that_never_writes_the_same_twice_replays(shop, durable):
    durable.client.start_orchestration("s", "shop", {"card": {"number": SECRET}})
    durable.run()
    send(durable)
    for number in (1, 2):
        history = durable.client.read_execution_history("s", number)
        assert assert_replays(shop.environment, history).outcome == history[-1].fact


def test_the_same_start_finds_its_instance_though_it_is_stored_otherwise(shop, durable):
    durable.client.start_orchestration("s", "shop", {"card": {"number": SECRET}})
    assert not durable.client.start_orchestration("s", "shop", {"card": {"number": SECRET}}).created
    with pytest.raises(InstanceAlreadyExists):
        durable.client.start_orchestration("s", "shop", {"card": {"number": "other"}})


def test_histories_outlive_a_change_of_the_projects_codec(registry, durable, settings):
    settings.DJANGO_DURABLE = {"CODECS": CODECS, "CODEC": "turned"}

    @registry.activity("echo")
    async def echo(text: str) -> str:
        await asyncio.sleep(0)
        return text

    @registry.orchestration("talk")
    def talk(ctx, text: str):
        first = yield ctx.schedule_activity(echo, text)
        yield ctx.wait_for_event("go")
        return [first, (yield ctx.schedule_activity(echo, text))]

    durable.client.start_orchestration("s", "talk", "hello")
    durable.run()
    durable.restart()
    settings.DJANGO_DURABLE = {"CODECS": CODECS}
    durable.client.raise_event("s", "go")
    durable.run()
    assert durable.client.get_output("s") == ["hello", "hello"]
    assert '"hello"' in stored_texts()
    settings.DJANGO_DURABLE = {"CODECS": CODECS, "CODEC": "turned"}
    assert_replays(registry.environment, durable.client.read_execution_history("s"))


def test_a_missing_codec_parks_the_instance_and_loses_nothing(shop, durable, settings):
    durable.client.start_orchestration("s", "shop", {"card": {"number": SECRET}})
    settings.DJANGO_DURABLE = {}
    durable.run()
    status = durable.client.get_status("s")
    assert status.runtime_status is RuntimeStatus.BLOCKED
    assert status.blocked_reason.error_type == "django_durable.engine.errors.CodecError"
    assert "no codec 'turned' here, only 'json'" in status.blocked_reason.message
    settings.DJANGO_DURABLE = {"CODECS": CODECS}
    durable.client.resume_instance("s")
    durable.run()
    send(durable)
    assert durable.client.get_output("s")[0] == "4929"


def test_an_activity_waits_for_a_worker_that_reads_its_codec(registry, durable, settings):
    settings.DJANGO_DURABLE = {"CODECS": CODECS}
    ran = []

    @registry.activity("note", retry=RetryPolicy(max_attempts=2, initial=timedelta(minutes=1)))
    def note(text: str) -> str:
        ran.append(text)
        if len(ran) == 1:
            raise ConnectionError
        return text

    @registry.orchestration("one", codec="turned")
    def one(ctx):
        return (yield ctx.schedule_activity(note, "hello"))

    durable.client.start_orchestration("s", "one")
    durable.run()
    settings.DJANGO_DURABLE = {}
    durable.advance(minutes=1)
    assert (ran, ActivityTask.objects.get().attempt) == (["hello"], 2)
    settings.DJANGO_DURABLE = {"CODECS": CODECS}
    durable.advance(minutes=1)
    assert durable.client.get_output("s") == "hello"


def test_a_codec_that_fails_is_named_and_nothing_is_written(registry, durable, settings):
    settings.DJANGO_DURABLE = {"CODECS": CODECS, "CODEC": "broken"}

    @registry.orchestration("any")
    def any_(ctx, text: str): ...

    with pytest.raises(CodecError, match="The codec 'broken' could not write a payload. RuntimeError: no key"):
        durable.client.start_orchestration("s", "any", "hello")
    assert not Execution.objects.exists()


@pytest.mark.parametrize("codec", [None, "turned", "json"])
@pytest.mark.parametrize("value", [{"$codec": "turned", "data": 1}, {"$codec": "json", "data": {}}, {"$codec": "x"}])
def test_a_value_that_looks_like_an_envelope_is_a_value(registry, durable, settings, codec, value):
    settings.DJANGO_DURABLE = {"CODECS": CODECS, "CODEC": codec}

    @registry.activity("echo")
    def echo(value: dict) -> dict:
        return value

    @registry.orchestration("echoes")
    def echoes(ctx, value: dict):
        ctx.set_custom_status(value)
        given = yield ctx.schedule_activity(echo, value)
        return [given, ctx.get_custom_status(), (yield ctx.wait_for_event("e"))]

    durable.client.start_orchestration("s", "echoes", value)
    durable.client.raise_event("s", "e", value)
    durable.run()
    assert durable.client.get_output("s") == [value, value, value]
    assert durable.client.get_status("s").custom_status == value
