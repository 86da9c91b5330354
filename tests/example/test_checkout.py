"""Orders: shipped once and charged once, or given back altogether."""

from __future__ import annotations

from decimal import Decimal

from example_project.shop import services
from example_project.shop.models import Order, Outage, Payment
from example_project.shop.outside import PAYMENTS


def stock(poster):
    poster.refresh_from_db()
    return poster.stock


def status(order):
    order.refresh_from_db()
    return order.status


def test_an_order_is_reserved_charged_and_shipped(durable, ended, poster, customer):
    order = services.place_order(customer, poster, quantity=3)
    durable.run()
    output = ended(order.instance_id).output
    payment = Payment.objects.get(order=order)
    assert (status(order), stock(poster), payment.amount) == (Order.Status.SHIPPED, 7, Decimal(72))
    assert output == {"receipt": payment.reference, "parcel": order.parcel}


def test_a_payment_provider_that_is_down_for_a_while_charges_once(durable, ended, poster, customer):
    Outage.objects.create(service=PAYMENTS, failures_left=4)
    order = services.place_order(customer, poster)
    durable.run_to_the_end()
    ended(order.instance_id)
    assert Outage.objects.get().failures_left == 0
    assert Payment.objects.filter(status=Payment.Status.CHARGED).count() == 1


def test_a_payment_provider_that_stays_down_cancels_the_order(durable, ended, poster, customer):
    Outage.objects.create(service=PAYMENTS, failures_left=100)
    order = services.place_order(customer, poster)
    durable.run_to_the_end()
    assert ended(order.instance_id, "Failed").error.error_type == "example_project.shop.outside.ServiceUnavailable"
    assert Outage.objects.get().failures_left == 95
    assert (status(order), stock(poster)) == (Order.Status.CANCELED, 10)


def test_an_order_of_more_than_there_is_fails_before_anything_is_charged(durable, ended, poster, customer):
    order = services.place_order(customer, poster, quantity=11)
    durable.run()
    failed = ended(order.instance_id, "Failed")
    assert failed.error.message == "There are not 11 of Lisbon, PT left."
    assert failed.custom_status == {"step": "canceled"}
    assert (status(order), stock(poster)) == (Order.Status.CANCELED, 10)
    assert not Payment.objects.filter(status=Payment.Status.CHARGED).exists()


def test_an_order_canceled_while_it_is_charged_gives_everything_back(durable, ended, poster, customer):
    Outage.objects.create(service=PAYMENTS, failures_left=1)
    order = services.place_order(customer, poster)
    durable.run()
    assert durable.client.get_status(order.instance_id).custom_status == {"step": "charging"}

    durable.client.cancel_instance(order.instance_id, "changed my mind")
    durable.run_to_the_end()
    ended(order.instance_id, "Canceled")
    assert (status(order), stock(poster)) == (Order.Status.CANCELED, 10)
    assert Payment.objects.get().status == Payment.Status.REFUNDED


def test_an_order_that_is_canceled_too_late_says_that_it_was_shipped(durable, ended, poster, customer):
    Outage.objects.create(service=PAYMENTS, failures_left=1)
    order = services.place_order(customer, poster)
    durable.run()
    Order.objects.filter(pk=order.pk).update(status=Order.Status.SHIPPED)

    durable.client.cancel_instance(order.instance_id, "changed my mind")
    durable.run_to_the_end()

    assert ended(order.instance_id, "Canceled").custom_status == {"step": "shipped"}
    assert status(order) == Order.Status.SHIPPED
