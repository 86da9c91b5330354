"""The client in a real browser, against a real server: pages that follow instances without a script of their own."""

from __future__ import annotations

import os
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
