"""Streams in a browser and on sockets: words that come as text, each once and in order, whatever breaks meanwhile."""

from __future__ import annotations

import json
import re

import pytest
from asgiref.sync import sync_to_async

from tests.acceptance.stage import until
from tests.live.support import scenario
from tests.live.test_streams import values

from .test_javascript import browser, playwright, shows, synchronous_playwright, visit

__all__ = ["browser", "synchronous_playwright", "visit"]


async def send(durable, *items) -> None:
    await durable.client.asend_to_stream("talk", "words", *items)


async def start(durable) -> None:
    await durable.client.astart_orchestration("talk", "orders.quiet")
    await sync_to_async(durable.run)()


@scenario
async def test_a_socket_of_one_instance_follows_the_streams_that_its_address_names(durable, boss, socket) -> None:
    await start(durable)
    await send(durable, "a", "b")
    async with socket(boss, "talk", 'streams={"words":1}') as opened:
        await opened.until_type("stream")
        await send(durable, "c")
        await opened.until(lambda message: values([message]) == ["c"])
        await durable.client.aclose_stream("talk", "words", "enough")
        end = await opened.until(lambda message: message.get("ended"))
        await durable.client.aterminate_instance("talk")
        assert await opened.until_closed() == 1000
    assert values(opened.told) == ["b", "c"]
    assert end["reason"] == "enough"


@scenario
async def test_who_breaks_off_at_every_message_misses_nothing_and_gets_nothing_twice(durable, boss, socket) -> None:
    await start(durable)
    told, since = [], None
    while len(values(told)) < 40:
        async with socket(boss) as opened:
            wish = {"streams": {"words": None}} | ({"since": since} if since else {})
            await opened.subscribe("talk", **wish)
            await send(durable, *range(4 * len(told), 4 * len(told) + 4))
            told.append(await opened.until_type("stream"))
            since = told[-1]["position"]
    assert values(told) == list(range(len(values(told))))


@pytest.mark.parametrize("streams", [7, ["words"], {"words": "1"}, {"": None}, {str(n): None for n in range(11)}])
def test_what_names_no_streams_is_refused_and_the_socket_goes_on(durable, boss, socket, streams) -> None:
    @scenario
    async def told() -> None:
        async with socket(boss) as opened:
            await opened.subscribe("talk", streams=streams)
            assert (await opened.hear())["code"] == "bad_message"
            await opened.pong()

    told()


def test_an_address_that_names_no_streams_is_refused(durable, boss, socket) -> None:
    @scenario
    async def told() -> None:
        async with socket(boss, "talk", "streams=words") as opened:
            assert await opened.until_closed() == 4400
            assert opened.told[0]["code"] == "bad_message"

    told()


# In a browser.


@pytest.fixture
def talk(durable):
    durable.client.start_orchestration("talk", "orders.quiet")
    durable.run()
    return durable.client


def test_items_are_added_as_text_after_what_the_page_has(talk, server, visit) -> None:
    talk.send_to_stream("talk", "words", "not again", "<b>bold</b> ")
    page = visit(server(), "talk", query="after=1")
    page.evaluate("addEventListener('durable:stream', ({ detail }) => (window.ended = detail.ended))")
    shows(page, ".words", "as rendered: <b>bold</b> ")
    talk.send_to_stream("talk", "words", {"a": 1}, None, 7)
    shows(page, ".words", 'as rendered: <b>bold</b> {"a":1}7')
    playwright.expect(page.locator(".lines li b")).to_have_text(["not again", "<b>bold</b> ", '{"a":1}', "", "7"])
    assert page.locator(".words b").count() == 0
    assert page.locator(".words").evaluate("(each) => each.childNodes.length") == 1

    talk.close_stream("talk", "words", "enough")
    playwright.expect(page.locator(".words")).to_have_attribute("data-durable-ended", "enough")
    assert until(lambda: page.evaluate("window.ended"), "durable:stream")


def test_no_word_is_lost_or_doubled_while_servers_come_and_go(talk, server, visit) -> None:
    served = server()
    page = visit(
        served,
        "talk",
        query="after=0",
        tolerated=("WebSocket connection", "ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING"),
    )
    text = "as rendered: "
    for count in range(3):
        for number in range(5):
            talk.send_to_stream("talk", "words", f"{count}.{number} ")
            text += f"{count}.{number} "
        shows(page, ".words", text)
        served.stop()
        playwright.expect(page.locator("#talk")).to_have_attribute(
            "data-durable-connection", re.compile("offline|fallback")
        )
        talk.send_to_stream("talk", "words", f"{count}.away ")
        text += f"{count}.away "
        served.start()
    shows(page, ".words", text)


def test_without_websockets_streams_come_by_the_api(durable, server, visit) -> None:
    """The first three by event streams, the others by polling."""
    names = [f"talk-{number}" for number in range(5)]
    for name in names:
        durable.client.start_orchestration(name, "orders.quiet")
        durable.client.send_to_stream(name, "words", *map(str, range(250)))
    durable.run()
    page = visit(server(), *names, query="after=0&socket=")
    text = "as rendered: " + "".join(map(str, range(250)))
    for name in names:
        shows(page, f"#{name} .words", text)
        durable.client.send_to_stream(name, "words", "more")
        durable.client.close_stream(name, "words")
    for name in names:
        shows(page, f"#{name} .words", f"{text}more")
        playwright.expect(page.locator(f"#{name} .words")).to_have_attribute("data-durable-ended", "")


@pytest.mark.parametrize("query", ["after=2", "after=2&socket="])
def test_a_page_whose_place_is_gone_says_so_and_goes_on(talk, server, visit, query) -> None:
    talk.send_to_stream("talk", "words", *"abcdef")
    talk.trim_stream("talk", "words", keep=2)
    page = visit(server(), "talk", query=query)
    shows(page, ".words", "as rendered: ef")
    playwright.expect(page.locator(".words")).to_have_attribute("data-durable-trimmed", "4")
    playwright.expect(page.locator(".lines li")).to_have_text(["e", "f"])


def test_watchers_of_a_script_share_a_stream_and_each_gets_all_of_it_once(talk, server, visit) -> None:
    talk.send_to_stream("talk", "words", *"abc")
    page = visit(server())
    page.evaluate(
        """async () => {
            const { watch } = await import("/static/django_durable/durable.js");
            const told = (window.told = { late: [], early: [] });
            const listen = (name, after) =>
                watch("talk", {
                    streams: { words: after },
                    onitems: ({ items }) => items.forEach(({ value }) => told[name].push(value)),
                });
            window.listen = listen;
            listen("late", 2);
        }"""
    )
    until(lambda: page.evaluate("told.late.length"), "the last item")
    page.evaluate("listen('early', null)")
    until(lambda: page.evaluate("told.early.length === 3"), "all items")
    talk.send_to_stream("talk", "words", "d")
    until(lambda: page.evaluate("told.early.length === 4 && told.late.length === 2"), "the new item")
    assert json.loads(page.evaluate("JSON.stringify(told)")) == {"late": ["c", "d"], "early": [*"abcd"]}


def test_an_element_that_comes_later_begins_where_it_says(talk, server, visit) -> None:
    talk.send_to_stream("talk", "words", *"abc")
    page = visit(server(), "talk")
    shows(page, ".status", "Running")
    page.evaluate(
        """() => {
            const words = document.createElement("p");
            words.className = "words";
            words.setAttribute("aria-busy", "true");
            words.dataset.durableStream = "words";
            words.dataset.durableAfter = "1";
            document.getElementById("talk").append(words);
        }"""
    )
    shows(page, ".words", "bc")
    talk.close_stream("talk", "words")
    playwright.expect(page.locator(".words")).to_have_attribute("aria-busy", "false")
