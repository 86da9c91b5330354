"""One page: what is on sale, and what the workflows are doing about imports and orders."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from django_durable import DurableError
from django_durable.client import InstanceFilter, InstanceSummary, client

from . import services
from .models import ImportRun, Order, Poster


def index(request: HttpRequest) -> HttpResponse:
    """Show the shop. While something is going on the page reloads itself."""
    on_sale = Poster.objects.filter(published=True)
    imports = with_status(ImportRun.objects.all()[:5])
    orders = with_status(Order.objects.select_related("poster")[:10])
    return render(
        request,
        "shop/index.html",
        {
            "posters": on_sale[:12],
            "poster_count": on_sale.count(),
            "imports": imports,
            "orders": orders,
            "busy": any(each["open"] for each in [*imports, *orders]),
        },
    )


def with_status(rows: QuerySet[Any]) -> list[dict[str, Any]]:
    """Return each row with what its workflow says of itself, by one more query."""
    page = client.list_instances(InstanceFilter(instance_ids=[row.instance_id for row in rows]))
    instances = {each.instance_id: each for each in page.items}
    return [describe(row, instances.get(row.instance_id)) for row in rows]


def describe(row: Any, instance: InstanceSummary | None) -> dict[str, Any]:
    """Return a row with its workflow's status; a workflow that somebody deleted has none."""
    if instance is None:
        return {"row": row, "open": False}
    return {
        "row": row,
        "open": instance.completed_at is None,
        "runtime_status": instance.runtime_status,
        "custom_status": json.loads(instance.custom_status or "null"),
    }


@require_POST
def start_import(request: HttpRequest) -> HttpResponse:
    """Start importing the catalogue."""
    services.start_import()
    return redirect("shop:index")


@require_POST
def decide_import(request: HttpRequest, pk: int) -> HttpResponse:
    """Publish or discard an import."""
    run = get_object_or_404(ImportRun, pk=pk)
    try:
        services.decide_import(run, approved=request.POST.get("decision") == "publish", by=str(request.user))
    except DurableError as error:
        messages.error(request, str(error))
    return redirect("shop:index")


@require_POST
def place_order(request: HttpRequest) -> HttpResponse:
    """Order one poster."""
    services.place_order(get_object_or_404(Poster, pk=request.POST.get("poster"), published=True))
    return redirect("shop:index")


@require_POST
def cancel_order(request: HttpRequest, pk: int) -> HttpResponse:
    """Cancel an order that is not shipped yet."""
    order = get_object_or_404(Order, pk=pk)
    try:
        client.cancel_instance(order.instance_id, "canceled by the customer")
    except DurableError as error:
        messages.error(request, str(error))
    return redirect("shop:index")
