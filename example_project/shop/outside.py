"""The outside world, played by tables: a payment provider and printing houses that are sometimes down."""

from __future__ import annotations

import time
from decimal import Decimal

from django.conf import settings
from django.db.models import F

from .models import Order, Outage, Payment, Poster

PAYMENTS = "payments"
SUPPLIERS = {
    "Atelier Nord": Decimal("0.35"),
    "Cartograph & Sons": Decimal("0.42"),
    "Meridian Press": Decimal("0.30"),
}
"""Printing houses, and the share of our price that each asks for."""


class ServiceUnavailable(Exception):
    """The service does not answer. Try again later."""


class PaymentDeclined(Exception):
    """The provider will not charge this order. Trying again does not help."""


def require(service: str) -> None:
    """Use up one failure of the service's outage, if it has one. Raises: ServiceUnavailable."""
    if Outage.objects.filter(service=service, failures_left__gt=0).update(failures_left=F("failures_left") - 1):
        raise ServiceUnavailable(f"{service} does not answer.")


def charge_order(order: Order, reference: str) -> str:
    """Charge an order once, however often it is asked, and return the provider's reference.

    Raises: ServiceUnavailable, PaymentDeclined: the order was refunded before the charge arrived.
    """
    time.sleep(settings.PAYMENT_SECONDS)
    require(PAYMENTS)
    payment, _ = Payment.objects.get_or_create(order=order, defaults={"reference": reference, "amount": order.total})
    if payment.status == Payment.Status.REFUNDED:
        raise PaymentDeclined(f"Order {order.pk} was refunded.")
    return payment.reference


def refund_order(order: Order) -> None:
    """Refund an order. One that was not charged yet never will be."""
    Payment.objects.update_or_create(
        order=order,
        defaults={"status": Payment.Status.REFUNDED},
        create_defaults={"status": Payment.Status.REFUNDED, "reference": f"void-{order.pk}", "amount": 0},
    )


def ask_for_quote(supplier: str, poster: Poster) -> Decimal:
    """Return what a printing house asks for a poster. Raises: ServiceUnavailable."""
    require(supplier)
    return (poster.price * SUPPLIERS[supplier]).quantize(Decimal("0.01"))
