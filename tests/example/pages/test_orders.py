"""Orders: placed, watched and canceled by whoever placed them, and by nobody else."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from django_durable.client import client as durable_client
from example_project.shop import services
from example_project.shop.models import Order


@pytest.fixture
def order(durable, customer, poster) -> Order:
    return services.place_order(customer, poster)


def test_an_order_is_placed_and_watched_to_its_end(shopper, durable, poster, shown):
    response = shopper.post(reverse("shop:orders"), {"poster": poster.pk, "quantity": 2})
    order = Order.objects.get()
    assert response.url == order.get_absolute_url() == f"/orders/{order.pk}/"
    page = shown(shopper, order.get_absolute_url())
    assert "Lisbon, PT, 48.00 €" in page
    assert "We are working on it. Reserve Charge Ship Cancel this order" in page

    durable.run()
    page = shown(shopper, order.get_absolute_url())
    assert "Your poster is on its way. Parcel PT-" in page
    assert "Reserve : done Charge : done Ship : done" in page
    assert "Cancel this order" not in page
    assert "Shipped" in shown(shopper, reverse("shop:orders"))


def test_an_order_is_canceled_by_its_customer(shopper, durable, order, shown):
    shopper.post(reverse("shop:cancel_order", args=[order.pk]))
    durable.run()
    assert "This order is canceled." in shown(shopper, order.get_absolute_url())


def test_what_is_shipped_cannot_be_canceled_any_more(shopper, durable, order):
    durable.run()
    response = shopper.post(reverse("shop:cancel_order", args=[order.pk]), follow=True)
    assert [str(each) for each in response.context["messages"]] == ["This order cannot be canceled any more."]


def test_an_order_of_more_than_there_is_ends_as_canceled(shopper, durable, customer, poster, shown):
    order = services.place_order(customer, poster, quantity=11)
    durable.run()
    assert "This order is canceled." in shown(shopper, order.get_absolute_url())


def test_another_customers_order_is_not_there(stranger, clerk, order, shown):
    for somebody in [stranger, clerk]:
        shown(somebody, order.get_absolute_url(), status=404)
        assert somebody.post(reverse("shop:cancel_order", args=[order.pk])).status_code == 404
        assert "Nothing was ordered yet." in shown(somebody, reverse("shop:orders"))
    assert durable_client.get_status(order.instance_id).runtime_status == "Pending"


def test_nobody_orders_watches_or_cancels_anonymously(anonymous, order, poster):
    for response in [
        anonymous.get(reverse("shop:orders")),
        anonymous.post(reverse("shop:orders"), {"poster": poster.pk, "quantity": 1}),
        anonymous.get(order.get_absolute_url()),
        anonymous.post(reverse("shop:cancel_order", args=[order.pk])),
    ]:
        assert response.url.startswith(f"{reverse('login')}?next=/orders/")
    assert Order.objects.count() == 1


@pytest.mark.parametrize("poster_id", ["", "x", "0", "999999", "9" * 30, "1\x00"])
def test_a_poster_that_is_not_on_sale_is_not_ordered(shopper, shown, poster_id):
    response = shopper.post(reverse("shop:orders"), {"poster": poster_id, "quantity": 1}, follow=True)
    assert len(response.context["messages"]) == 1
    assert not Order.objects.exists()


@pytest.mark.parametrize("quantity", ["", "x", "0", "-1", "21", "1e3", "9" * 5000])
def test_a_quantity_that_makes_no_sense_is_not_ordered(shopper, poster, quantity):
    response = shopper.post(reverse("shop:orders"), {"poster": poster.pk, "quantity": quantity}, follow=True)
    assert len(response.context["messages"]) == 1
    assert not Order.objects.exists()


def test_forms_without_a_token_do_nothing(customer, order, poster):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(customer)
    assert strict.post(reverse("shop:orders"), {"poster": poster.pk, "quantity": 1}).status_code == 403
    assert strict.post(reverse("shop:cancel_order", args=[order.pk])).status_code == 403
    assert Order.objects.count() == 1


def test_an_order_is_not_canceled_by_a_link(shopper, order):
    assert shopper.get(reverse("shop:cancel_order", args=[order.pk])).status_code == 405


def test_an_order_whose_workflow_was_deleted_is_still_shown(shopper, customer, poster, shown):
    order = Order.objects.create(customer=customer, poster=poster, total=poster.price)
    assert "Something went wrong. Please ask our support." in shown(shopper, order.get_absolute_url())
    assert f"Order {order.pk}" in shown(shopper, reverse("shop:orders"))


def test_the_list_takes_the_same_number_of_queries_however_long_it_is(shopper, durable, customer, poster):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            shopper.get(reverse("shop:orders"))
        return len(captured)

    services.place_order(customer, poster)
    few = queries()
    for _ in range(5):
        services.place_order(customer, poster)
    assert queries() == few
