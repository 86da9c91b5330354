"""A registry of its own, with what an API can show of instances; and rules by which a customer sees her own."""

from __future__ import annotations

from dataclasses import dataclass

from django_durable import Registry
from django_durable.permissions import DurablePermissions

registry = Registry()
CUSTOMER = "customer"


@registry.orchestration("orders.doubles")
def doubles(ctx, number: int, label: str = ""):
    """Returns twice a number."""
    ctx.set_custom_status({"step": "doubling"})
    return {"doubled": 2 * number, "label": label}
    yield


@registry.orchestration("orders.waits")
def waits(ctx):
    """Shows that it waits, and goes on after an event."""
    ctx.set_custom_status({"step": "waiting"})
    ctx.set_kv_value("secret", {"card": "4111"})
    ctx.set_kv_value("status", "a key like an address")
    data = yield ctx.wait_for_event("go")
    ctx.set_custom_status({"step": "going"})
    message = yield ctx.dequeue_event("messages")
    return {"data": data, "message": message}


@registry.orchestration("orders.fails")
def fails(ctx):
    raise ValueError("the secret is <b>bold</b>")
    yield


@registry.orchestration("orders.parent")
def parent(ctx):
    return (yield ctx.schedule_sub_orchestration_with_id(waits, f"{ctx.instance_id}-child"))


@dataclass
class Decision:
    approved: bool
    limit: int | None = None


@registry.orchestration("orders.asks")
async def asks(ctx):
    decision = await ctx.request("Ship it?", Decision, name="shipping", assignee="ada")
    return decision.approved


@registry.orchestration("orders.repeats")
def repeats(ctx, left: int):
    if left:
        yield ctx.continue_as_new(left - 1)
    yield ctx.wait_for_event("go")


@registry.orchestration("orders.old", version="1.0.0")
def old(ctx):
    return 1
    yield


@registry.orchestration("orders.old", version="2.0.0")
def new(ctx):
    return 2
    yield


class CustomerRules(DurablePermissions):
    """A customer watches her own order, whatever model permissions she has."""

    def can_view(self, user, instance):
        return self.owns(user, instance) or super().can_view(user, instance)

    def owns(self, user, instance) -> bool:
        return user.is_authenticated and instance.instance_id.startswith(f"{user.username}-")


class DiscreetRules(DurablePermissions):
    """Nobody sees what is secret, whatever model permissions they have."""

    def can_view(self, user, instance):
        return "secret" not in instance.instance_id and super().can_view(user, instance)


class WordsRules(DurablePermissions):
    """Everybody who is logged in sees instances, reads their words and asks questions."""

    def can_view(self, user, instance):
        return user.is_authenticated

    def can_read_stream(self, user, instance, stream):
        return stream == "words"

    def can_send_to_stream(self, user, instance, stream):
        return stream == "questions"
