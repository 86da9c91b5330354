"""What the REST API tells whom about the shop's workflows."""

from __future__ import annotations

import pytest

from example_project.shop import services


@pytest.fixture
def order(durable, customer, poster):
    placed = services.place_order(customer, poster)
    durable.run()
    return f"/durable/instances/{placed.instance_id}/"


def test_a_customer_watches_her_own_order_and_nothing_of_what_is_in_it(shopper, order):
    status = shopper.get(f"{order}status/").json()
    assert (status["runtime_status"], status["custom_status"]) == ("Completed", {"step": "shipped"})
    detail = shopper.get(order).json()
    assert not {"input", "output", "error"} & {key for key, value in detail.items() if value is not None}
    for part in ["history/", "tree/", "executions/", "kv/"]:
        assert shopper.get(order + part).status_code == 403, part
    for operation in ["cancel/", "terminate/", "suspend/", "events/"]:
        assert shopper.post(order + operation, {}, content_type="application/json").status_code == 403, operation


def test_for_others_the_order_is_not_there(stranger, anonymous, order):
    assert stranger.get(f"{order}status/").status_code == 404
    assert anonymous.get(f"{order}status/").status_code == 403


def test_staff_see_all_of_it(clerk, order):
    assert clerk.get(order).json()["output"]["parcel"].startswith("PT-")
    assert clerk.get(f"{order}history/").status_code == 200


def test_customers_list_nothing(shopper, order):
    assert shopper.get("/durable/instances/").status_code == 403


def test_the_schema_is_served(anonymous):
    assert b"openapi:" in anonymous.get("/durable/schema/").content
