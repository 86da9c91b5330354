"""One site, one worker and one browser for all tests here; skipped where there is no browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import global_settings
from django.test import override_settings

from tests.conftest import delete_rows

from .site import Site
from .visitors import PATIENCE, Camera, Visitors

CHROMIUM = shutil.which("chromium")
SCREENSHOTS = "SCREENSHOTS"
"""Environment variable: the directory for screenshots."""


@pytest.fixture(scope="package")
def browser(database_environment: dict[str, str]) -> Iterator[object]:
    """Debian's chromium. `database_environment` is asked for because it must not have what is set here."""
    playwright = pytest.importorskip("playwright.sync_api", reason="There is no playwright.")
    if CHROMIUM is None:
        pytest.skip("There is no chromium.")
    playwright.expect.set_options(timeout=PATIENCE)
    with pytest.MonkeyPatch.context() as patch, playwright.sync_playwright() as started:
        # Playwright keeps an event loop running in this thread, and the tests use the ORM beside it.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture(scope="package")
def site(browser: object, database_environment, django_db_blocker, tmp_path_factory) -> Iterator[Site]:
    """The example, served, with a worker and some posters on sale; its database may be used and committed to."""
    from django.db import connection

    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch:
        if connection.vendor == "sqlite":
            # As the settings of the site have it: what is done here is done beside its processes.
            patch.setitem(connection.settings_dict["OPTIONS"], "transaction_mode", "IMMEDIATE")
            connection.close()
        stock_up()
        opened = Site(
            tmp_path_factory.mktemp("site"), database_environment | {"PAYMENT_SECONDS": "1", "WORD_SECONDS": "0.15"}
        )
        try:
            yield opened
        finally:
            # Whatever ends badly here, the next test's database is empty.
            try:
                opened.close()
            finally:
                delete_rows()


def stock_up() -> None:
    """Put real cities on sale, and make the demo accounts."""
    from example_project.shop import accounts, catalogue
    from example_project.shop.activities import poster_from
    from example_project.shop.models import ImportRun, Poster

    with override_settings(PASSWORD_HASHERS=global_settings.PASSWORD_HASHERS):  # Those of the site.
        accounts.demo_customer()
        accounts.demo_staff()
    run = ImportRun.objects.create(source=catalogue.CITIES, status=ImportRun.Status.PUBLISHED)
    posters = [poster_from(row, run) for row in catalogue.rows(catalogue.CITIES) if len(row["city"]) <= 30]
    for poster in posters:
        poster.published = True
    Poster.objects.bulk_create(posters)


@pytest.fixture(scope="package")
def visitors(browser, site: Site) -> Visitors:
    return Visitors(browser, site.url)


@pytest.fixture
def expect(browser: object) -> object:
    """Playwright's assertions, which wait."""
    from playwright.sync_api import expect

    return expect


@pytest.fixture
def customer(visitors: Visitors) -> Iterator[object]:
    """A page of the customer's browser."""
    with visitors.page("customer") as page:
        yield page


@pytest.fixture
def staff(visitors: Visitors) -> Iterator[object]:
    """A page of a browser of the staff."""
    with visitors.page("staff") as page:
        yield page


@pytest.fixture(scope="package")
def camera() -> Camera:
    directory = os.environ.get(SCREENSHOTS)
    if directory:
        Path(directory).mkdir(parents=True, exist_ok=True)
    return Camera(directory)
