"""The shop's pages follow its workflows, over a websocket and without a reload."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from example_project.shop.models import Order, Outage, Poster
from example_project.shop.outside import PAYMENTS
from tests.acceptance.stage import until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


@contextmanager
def staying(page: Page) -> Iterator[None]:
    """Hold that a page is not loaded again meanwhile."""
    page.evaluate("window.stayed = true")
    yield
    assert page.evaluate("window.stayed === true"), "the page was loaded again"


def place_order(page: Page, city: str = "Shanghai, CN") -> None:
    page.goto("/")
    page.get_by_role("button", name=f"Order {city}").click()


def headline(page: Page) -> Locator:
    return page.get_by_role("main").get_by_role("status")


def test_an_order_is_seen_to_take_its_steps_and_finish(customer, site, camera, expect):
    Outage.objects.create(service=PAYMENTS, failures_left=2)  # It is charged for long enough to look.
    with site.without_worker():
        place_order(customer)
        expect(headline(customer)).to_have_text("We are working on it.")
        expect(customer.locator("[data-durable-connection=live]")).to_be_visible()
    with staying(customer):
        expect(customer.locator(".steps .current")).to_have_text("Charge")
        camera.shoot(customer, "order-live")
        expect(headline(customer)).to_have_text("Your poster is on its way.")
        expect(customer.get_by_text("Parcel CN-")).to_be_visible()
        expect(customer.get_by_role("button", name="Cancel this order")).to_have_count(0)


def test_an_order_is_canceled_from_its_page(customer, site, expect):
    with site.without_worker():
        place_order(customer, "Beijing, CN")
        customer.get_by_role("button", name="Cancel this order").click()
        customer.wait_for_load_state()
    with staying(customer):
        expect(headline(customer)).to_have_text("This order is canceled.")
    expect(customer.get_by_role("button", name="Cancel this order")).to_have_count(0)


def test_an_import_is_watched_and_approved_from_its_page(staff, camera, expect):
    staff.goto("/imports/")
    staff.get_by_role("button", name="Import the catalogue").click()
    with staying(staff):
        staff.get_by_role("button", name="Publish").wait_for()
        expect(headline(staff)).to_have_text("Waiting for approval")
        expect(staff.get_by_text("4028 of 4028 rows")).to_be_visible()
        camera.shoot(staff, "import")
    staff.get_by_role("button", name="Publish").click()
    staff.wait_for_load_state()
    with staying(staff):
        expect(headline(staff)).to_have_text(re.compile(r"Published\s+by staff"))
    assert Poster.objects.filter(published=True, run=staff.url.split("/")[-2]).count() == 4025


def test_a_question_is_answered_while_the_page_is_open(customer, camera, expect):
    customer.goto("/support/")
    customer.get_by_label("Your message").fill("How much is a map of Istanbul?")
    customer.get_by_role("button", name="Send").click()
    expect(customer.get_by_role("log")).to_contain_text("A map of Istanbul, TR is 49.00 €")
    customer.get_by_label("Your message").fill("And Lagos?")
    customer.get_by_role("button", name="Send").click()
    expect(customer.get_by_role("log")).to_contain_text("A map of Lagos, NG is 49.00 €")
    expect(customer.get_by_text("2 messages answered.")).to_be_visible()
    camera.shoot(customer, "support")


def test_the_storefront_shows_what_is_on_sale(visitors, camera, expect):
    with visitors.page(None) as anybody:
        anybody.goto("/")
        expect(anybody.get_by_role("heading", name="Shanghai")).to_be_visible()
        anybody.wait_for_load_state("networkidle")
        camera.shoot(anybody, "shop")
        anybody.get_by_label("City").fill("lagos")
        anybody.get_by_role("button", name="Search").click()
        anybody.get_by_role("link", name="Log in to order Lagos, NG").click()
        expect(anybody.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_page_left_open_over_a_restart_of_the_server_catches_up(visitors, site, expect):
    # The browser reports that it cannot connect meanwhile, as it should.
    with visitors.page("customer", expected="ERR_CONNECTION_REFUSED") as page:
        with site.without_worker():
            place_order(page, "Mumbai, IN")
            expect(page.locator("[data-durable-connection=live]")).to_be_visible()
            site.stop_server()
            expect(page.locator("[data-durable-connection=live]")).to_have_count(0)
        with staying(page):
            order = Order.objects.get(pk=page.url.rstrip("/").rsplit("/", 1)[-1])
            until(
                lambda: Order.objects.filter(pk=order.pk, status=Order.Status.SHIPPED).exists(), "the order to be sent"
            )
            expect(headline(page)).to_have_text("We are working on it.")
            site.start_server()
            expect(headline(page)).to_have_text("Your poster is on its way.")


def test_an_order_is_placed_and_followed_without_javascript(visitors, expect):
    with visitors.page("customer", java_script_enabled=False) as page:
        place_order(page, "Chengdu, CN")
        expect(headline(page)).to_have_text("Your poster is on its way.")
