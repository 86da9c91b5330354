"""axe finds nothing on any page by any of its rules, in light and in dark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from django_durable.client import client
from django_durable.models import Instance
from example_project.shop import accounts, services
from example_project.shop.models import Poster
from tests.acceptance.stage import until

ADMIN = "/admin/django_durable/"
if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def addresses(site) -> dict[str, str]:
    """Every page, by name: an order that ended, a conversation, an import, and what the admin shows of them."""
    customer = accounts.demo_customer()
    run = services.start_import()
    order = services.place_order(customer, Poster.objects.filter(published=True)[0])
    services.ask(customer, "Istanbul?")
    failed = services.place_order(customer, Poster.objects.filter(published=True)[1], quantity=20_000)
    poster = order.poster
    services.tell_about(customer, poster)
    for each in (order.instance_id, failed.instance_id, services.guide_of(customer, poster)):
        until(lambda each=each: client.get_status(each).finished, each)
    until(lambda: (client.get_status(run.instance_id).custom_status or {}).get("progress") == 1, "the import")
    keys = dict(Instance.objects.values_list("instance_id", "pk"))
    details = {
        f"admin {name}": f"{ADMIN}instance/{keys[instance_id]}/change/"
        for name, instance_id in [
            ("completed", order.instance_id),
            ("failed", failed.instance_id),
            ("running", services.conversation_of(customer).instance_id),
        ]
    }
    form = f"{ADMIN}instance/{keys[run.instance_id]}/do/"
    return details | {
        "shop": "/",
        "orders": "/orders/",
        "order": order.get_absolute_url(),
        "support": "/support/",
        "guide": f"/posters/{poster.pk}/guide/",
        "imports": "/imports/",
        "import": run.get_absolute_url(),
        "log in": "/accounts/login/",
        "admin list": f"{ADMIN}instance/",
        "admin overview": f"{ADMIN}instance/overview/",
        "admin start": f"{ADMIN}instance/start/",
        "admin start form": f"{ADMIN}instance/start/?orchestration=example_project.shop.workflows.checkout",
        "admin raise event": f"{form}event/",
        "admin cancel": f"{form}cancel/",
        "admin workers": f"{ADMIN}worker/",
        "admin sessions": f"{ADMIN}session/",
    }


VISITS = {
    "customer": ["shop", "orders", "order", "support", "guide"],
    "staff": ["imports", "import"],
    None: ["log in"],
    "admin": [
        "admin list",
        "admin completed",
        "admin failed",
        "admin running",
        "admin overview",
        "admin start",
        "admin start form",
        "admin raise event",
        "admin cancel",
        "admin workers",
        "admin sessions",
    ],
}


@pytest.mark.parametrize("who", VISITS)
def test_no_page_has_a_problem(visitors, addresses, who):
    found = []
    with visitors.page("staff" if who == "admin" else who, bypass_csp=True) as page:
        for name in VISITS[who]:
            page.goto(addresses[name])
            found += [(name, "light", *each) for each in problems(page)]
            page.emulate_media(color_scheme="dark")
            page.evaluate("Promise.all(document.getAnimations().map((fading) => fading.finished))")
            found += [(name, "dark", *each) for each in problems(page)]
            page.emulate_media(color_scheme="light")
    assert not found


def problems(page: Page) -> Iterator[tuple[str, str, list[str]]]:
    """Yield rule, sentence and places of what axe finds, Django's own search field aside."""
    from axe_playwright_python.sync_playwright import Axe

    context = {"exclude": ["#changelist-search"]}
    for found in Axe().run(page, context, {"resultTypes": ["violations"]}).response["violations"]:
        yield found["id"], found["help"], [each["html"] for each in found["nodes"][:3]]
