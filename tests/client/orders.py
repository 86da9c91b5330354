"""A registry of its own, with orchestrations that show what a client can see."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django_durable import Registry

registry = Registry()


@dataclass(frozen=True)
class Receipt:
    order_id: int
    total: Decimal


@registry.orchestration("orders.checkout", version="1.0.0")
def old_checkout(ctx, order_id: int, express: bool = False):
    return "old"
    yield


@registry.orchestration("orders.checkout", version="1.1.0")
def checkout(ctx, order_id: int, express: bool = False) -> Receipt:
    return Receipt(order_id, Decimal("9.90"))
    yield


@registry.orchestration("orders.fails")
def fails(ctx):
    raise ValueError("broken on purpose")
    yield


@registry.orchestration("orders.waits")
def waits(ctx):
    """Publishes a status and a KV entry, and goes on after an event."""
    ctx.set_custom_status("waiting")
    ctx.set_kv_value("state", {"step": 1})
    data = yield ctx.wait_for_event("go")
    ctx.set_custom_status("going")
    ctx.set_kv_value("receipt", Receipt(7, Decimal("1.50")))
    yield ctx.wait_for_event("end")
    return data


@registry.orchestration("orders.parent")
def parent(ctx):
    return (yield ctx.schedule_sub_orchestration(waits))
