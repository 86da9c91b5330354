"""The second tutorial, followed and then used in a real browser: what it says to do at its end, and what one sees."""

from __future__ import annotations

import shutil

import pytest

from .blocks import blocks_of
from .followed import APPROVAL
from .project import Project

pytestmark = [pytest.mark.only_on("sqlite"), pytest.mark.timeout(300)]


@pytest.fixture
def browser():
    """Debian's chromium. Skips the rest of a test where there is none."""
    if (chromium := shutil.which("chromium")) is None:
        pytest.skip("There is no chromium; .ci/chromium installs it.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path)
    yield made
    made.close()


def test_a_page_that_is_open_shows_what_happens_elsewhere_and_outlives_its_server(project, request):
    for block in blocks_of(APPROVAL):
        project.follow(block)
    browser = request.getfixturevalue("browser")
    context = browser.new_context(base_url=f"http://127.0.0.1:{project.port}")
    watching = context.new_page()
    watching.goto("/")
    watching.get_by_label("Username").fill("ada")
    watching.get_by_label("Password").fill("lovelace")
    watching.get_by_role("button", name="Log in").click()
    watching.get_by_label("Amount").fill("20")
    watching.get_by_label("Reason").fill("paper")
    watching.get_by_role("button", name="Ask").click()
    watching.get_by_role("heading", name="Waiting for approval").wait_for()

    server = project.terminals.pop(0)
    server.close()
    project.type(server.command)
    deciding = context.new_page()
    deciding.goto(watching.url)
    deciding.get_by_role("button", name="Approve").click()

    watching.get_by_role("heading", name="Paid, approved by ada").wait_for()
    watching.get_by_text("This page will not change any more.").wait_for()
    assert watching.get_by_text("20 € for paper").is_visible()
    assert not watching.get_by_role("button", name="Approve").is_visible()
