"""People at browsers. What a browser complains about fails the test that it visits for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from example_project.shop import accounts

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

PATIENCE = 20_000
"""Milliseconds until a page shows what it should; nothing takes that long on a machine that runs at all."""
WINDOW = {"width": 1280, "height": 800}


class Visitors:
    """Opens pages for people; each is logged in once."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._url = url
        self._sessions: dict[str, Any] = {}

    @contextmanager
    def page(self, who: str | None, *, expected: str | None = None, **context: Any) -> Iterator[Page]:
        """Open a browser with a page.

        Args:
            who: A demo account, or None for somebody who is not logged in.
            expected: What an error in the browser's console must be about in order to be none.
            context: As Playwright's `new_context` has it, for example `java_script_enabled=False`.
        """
        session = self._session(who) if who else None
        opened = self._browser.new_context(base_url=self._url, storage_state=session, viewport=WINDOW, **context)
        opened.set_default_timeout(PATIENCE)
        page = opened.new_page()
        complaints: list[str] = []

        def listen(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and not (expected and expected in message.text):
                complaints.append(f"{message.text} ({message.location})")

        page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        try:
            yield page
        finally:
            opened.close()
        assert not complaints, complaints

    def _session(self, who: str) -> Any:
        if who not in self._sessions:
            with self.page(None) as page:
                page.goto("/accounts/login/")
                page.get_by_label("Username").fill(who)
                page.get_by_label("Password").fill(accounts.PASSWORD)
                page.get_by_role("main").get_by_role("button", name="Log in").click()
                page.get_by_role("button", name="Log out").wait_for()
                self._sessions[who] = page.context.storage_state()
        return self._sessions[who]


class Camera:
    """Takes the screenshots of the documentation, where a directory for them was given."""

    def __init__(self, directory: str | None) -> None:
        self._directory = directory

    def shoot(self, page: Page, name: str, width: int = 1100, height: int = 700) -> None:
        """Save a page in light and in dark as `name.png` and `name-dark.png`."""
        if self._directory is None:
            return
        page.set_viewport_size({"width": width, "height": height})
        for scheme, suffix in (("light", ""), ("dark", "-dark")):
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=Path(self._directory) / f"{name}{suffix}.png", animations="disabled")
        page.emulate_media(color_scheme=None)
        page.set_viewport_size(WINDOW)
