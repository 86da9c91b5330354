"""A request, answered in a browser: found in the list, the form filled in, the code gets the answer."""

from __future__ import annotations

import pytest

from django_durable.client import client
from example_project.shop.workflows import complaint
from tests.acceptance.stage import until

LIST = "/admin/django_durable/promise/"
TEXT = "It came rolled up, and there is coffee on Lisbon."


@pytest.fixture
def asked(site) -> str:
    instance_id = complaint.start(customer="Ada", text=TEXT)
    until(lambda: client.list_requests(instance_id=instance_id), "the request")
    return instance_id


def test_a_request_is_found_answered_and_gone(staff, asked, camera, expect):
    staff.goto(LIST)
    camera.shoot(staff, "admin-requests")
    staff.get_by_role("link", name="coffee on Lisbon").first.click()
    expect(staff.locator(".durable-question")).to_contain_text(TEXT)
    staff.get_by_label("reason").fill("")
    staff.get_by_role("button", name="Send the answer").click()
    expect(staff.get_by_text("Please correct what is marked below.")).to_be_visible()
    camera.shoot(staff, "admin-request")
    staff.get_by_label("voucher").fill("20")
    staff.get_by_label("reason").fill("Coffee is our fault.")
    staff.get_by_label("reason").press("Enter")
    expect(staff.get_by_text("The request was answered.")).to_be_visible()
    assert client.wait_for_output(asked) == "A voucher of 20 for Ada: Coffee is our fault."
    expect(staff.get_by_role("link", name="coffee on Lisbon")).to_have_count(0)
