"""The client in a real browser, against a real server: pages that follow instances without a script of their own."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.acceptance.stage import until

from .conftest import session_of

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
PATIENCE_MS = 30_000


@pytest.fixture(scope="module", autouse=True)
def synchronous_playwright() -> Iterator[None]:
    """Let Django's ORM work on this thread: playwright keeps an event loop running on it, which nothing awaits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield


@pytest.fixture(scope="module")
def browser(synchronous_playwright) -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        try:
            opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        except playwright.Error as error:
            pytest.skip(f"There is no chromium: {error.message.splitlines()[0]}")
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, server, boss) -> Iterator[Callable[..., Any]]:
    """Opens the page of some instances, by default for a superuser. What the browser complains of fails the test."""
    contexts, complaints = [], []

    def open_page(served: Any, *ids: str, query: str = "", user: Any = boss, tolerated: tuple[str, ...] = ()) -> Any:
        context = browser.new_context()
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        cookie = {"name": "sessionid", "value": session_of(user).session_key, "url": f"http://{served.address}"}
        context.add_cookies([cookie])
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text)
                if message.type == "error" and not any(each in message.text for each in tolerated)
                else None
            ),
        )
        page.goto(f"http://{served.address}/page/?{'&'.join(f'id={each}' for each in ids)}&{query}")
        return page

    yield open_page
    for each in contexts:
        each.close()
    assert complaints == []


def step(durable, instance_id: str) -> None:
    durable.client.enqueue_event(instance_id, "steps", None)
    durable.run()


def shows(page, selector: str, text: str) -> None:
    playwright.expect(page.locator(selector)).to_have_text(text, timeout=PATIENCE_MS)


def test_a_page_follows_an_instance_to_its_end_without_a_script_of_its_own(durable, server, visit) -> None:
    durable.client.start_orchestration("order-7", "orders.counts", 2)
    durable.run()
    page = visit(server(), "order-7")
    page.evaluate("addEventListener('durable:done', (event) => (window.done = event.detail))")

    shows(page, ".text", "<i>0</i>")
    assert page.locator("#order-7").get_attribute("data-durable-status") == "Running"
    assert page.locator(".open").is_visible()
    assert not page.locator(".done").is_visible()
    step(durable, "order-7")
    shows(page, ".text", "<i>1</i>")
    assert page.locator("progress").evaluate("(bar) => [bar.value, bar.max]") == [1, 2]
    step(durable, "order-7")
    shows(page, ".status", "Completed")

    assert page.locator(".done").is_visible()
    assert not page.locator(".open").is_visible()
    assert until(lambda: page.evaluate("window.done"), "durable:done")["output"] == {"counted": 2}


def test_a_page_left_open_over_a_restart_of_the_server_catches_up(durable, server, visit) -> None:
    durable.client.start_orchestration("order-7", "orders.counts", 3)
    durable.run()
    served = server()
    page = visit(served, "order-7", tolerated=("WebSocket connection", "ERR_CONNECTION_REFUSED"))
    shows(page, ".text", "<i>0</i>")
    served.stop()
    playwright.expect(page.locator("#order-7")).to_have_attribute(
        "data-durable-connection", re.compile("offline|fallback")
    )
    step(durable, "order-7")
    served.start()

    shows(page, ".text", "<i>1</i>")
    playwright.expect(page.locator("#order-7")).to_have_attribute("data-durable-connection", "live")
    step(durable, "order-7")
    shows(page, ".text", "<i>2</i>")


@pytest.mark.parametrize(
    "socket",
    ["socket=/ws/nowhere/", "socket="],
    ids=["where the socket cannot be opened", "where there is none"],
)
def test_without_websockets_a_page_follows_by_the_api(durable, server, visit, socket) -> None:
    for number in range(5):
        durable.client.start_orchestration(f"order-{number}", "orders.counts", 2)
    durable.run()
    names = [f"order-{number}" for number in range(5)]
    page = visit(server(), *names, query=f"fallback=1&{socket}", tolerated=("WebSocket connection",))
    for name in names:
        shows(page, f"#{name} .text", "<i>0</i>")
        step(durable, name)
    for name in names:
        shows(page, f"#{name} .text", "<i>1</i>")
        step(durable, name)
    for name in names:
        shows(page, f"#{name} .status", "Completed")
        playwright.expect(page.locator(f"#{name}")).to_have_attribute("data-durable-connection", "fallback")


def test_elements_that_come_and_go_are_followed_and_let_go(durable, server, visit) -> None:
    for name in ("order-1", "order-2"):
        durable.client.start_orchestration(name, "orders.counts", 2)
    durable.run()
    page = visit(server(), "order-1")
    shows(page, "#order-1 .text", "<i>0</i>")
    page.evaluate(
        """() => {
            const copy = document.getElementById("order-1").cloneNode(true);
            copy.id = copy.dataset.durableInstance = "order-2";
            document.body.append(copy);
            document.getElementById("order-1").remove();
        }"""
    )
    step(durable, "order-2")

    shows(page, "#order-2 .text", "<i>1</i>")


def test_a_script_is_told_of_events_entries_and_what_it_may_not_see(durable, server, visit) -> None:
    durable.client.start_orchestration("order-7", "orders.counts", 1)
    durable.run()
    page = visit(server())
    page.evaluate(
        """async () => {
            const { watch } = await import("/static/django_durable/durable.js");
            const told = (window.told = { events: [], kv: [], done: 0, errors: [] });
            watch("order-9", { onerror: ({ code }) => told.errors.push(code) });
            const plain = watch("order-7", { onstatus: (state) => (told.state = state) });
            watch("order-7", {
                history: true,
                kv: true,
                onhistory: ({ seq }) => told.events.push(seq),
                onkv: ({ values }) => told.kv.push(values),
                ondone: () => told.done++,
            });
            window.plain = plain;
        }"""
    )
    until(lambda: page.evaluate("told.errors.length && told.kv.length && told.state"), "what is told at first")
    page.evaluate("plain.close()")
    step(durable, "order-7")
    until(lambda: page.evaluate("told.done"), "the end")
    told = page.evaluate("told")

    length = len(durable.client.read_execution_history("order-7"))
    assert told["events"] == list(range(1, length + 1))
    assert told["kv"][0] == {"count": 0, "limit": 1}
    assert (told["done"], told["errors"]) == (1, ["not_found"])
    assert told["state"]["runtime_status"] == "Running", "it was closed before the end"


def test_a_page_whose_user_was_logged_out_is_told_so(durable, server, visit, boss) -> None:
    durable.client.start_orchestration("order-7", "orders.counts", 1)
    durable.run()
    page = visit(server(LIVE_RECHECK=0.1), "order-7")
    page.evaluate("addEventListener('durable:error', (event) => (window.problem = event.detail))")
    shows(page, ".text", "<i>0</i>")
    sessions = page.context.cookies()
    type(session_of(boss)).get_model_class().objects.filter(
        session_key__in=[each["value"] for each in sessions]
    ).delete()

    assert until(lambda: page.evaluate("window.problem"), "durable:error")["code"] == "not_authenticated"
