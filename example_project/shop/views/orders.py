"""Orders: each customer sees her own, and another's is not there."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _, gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from django_durable import DurableError

from .. import services
from ..forms import OrderForm, first_error
from ..models import Order
from ..watching import status_of, with_status

ROWS_PER_LIST = 20
STEPS = {
    "reserving": gettext_lazy("Reserve"),
    "charging": gettext_lazy("Charge"),
    "shipping": gettext_lazy("Ship"),
}
"""What the custom status of `workflows.checkout` says on the way, and what customers call it."""


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def orders(request: HttpRequest) -> HttpResponse:
    """List a customer's orders, or place one."""
    if request.method == "POST":
        return place_order(request)
    placed = with_status(request.user.orders.select_related("poster")[:ROWS_PER_LIST])
    return render(request, "shop/orders.html", {"orders": placed})


def place_order(request: HttpRequest) -> HttpResponse:
    form = OrderForm(request.POST)
    if not form.is_valid():
        messages.error(request, first_error(form))
        return redirect("shop:index")
    return redirect(services.place_order(request.user, **form.cleaned_data))


@login_required
@require_safe
def order(request: HttpRequest, pk: int) -> HttpResponse:
    """Show an order while it is handled."""
    found = get_object_or_404(Order.objects.select_related("poster"), pk=pk, customer=request.user)
    status = status_of(found.instance_id)
    steps = steps_of(status.custom_status if status else None)
    return render(request, "shop/order.html", {"order": found, "steps": steps, "status": status})


def steps_of(custom_status: dict[str, str] | None) -> list[tuple[str, str]]:
    """Return each step's label and whether it is `done`, `current` or `ahead`; nothing once the order goes back."""
    way = ["", *STEPS, "shipped"]
    step = custom_status["step"] if custom_status else ""
    if step not in way:
        return []
    reached = way.index(step)
    states = ["done" if place < reached else "current" if place == reached else "ahead" for place in range(len(way))]
    return list(zip(STEPS.values(), states[1:], strict=False))


@login_required
@require_POST
def cancel_order(request: HttpRequest, pk: int) -> HttpResponse:
    """Cancel an order that is not shipped yet."""
    found = get_object_or_404(Order, pk=pk, customer=request.user)
    try:
        services.cancel_order(found)
    except DurableError:
        messages.error(request, _("This order cannot be canceled any more."))
    return redirect(found)
