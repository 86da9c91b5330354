"""A registry of its own, with what a listener can be told of instances; and rules of a project."""

from __future__ import annotations

from django_durable import Provided, Registry, StreamWriter
from django_durable.permissions import DurablePermissions

registry = Registry()


@registry.orchestration("orders.doubles")
def doubles(ctx, number: int):
    """Returns twice a number."""
    ctx.set_custom_status({"text": "<b>doubling</b>"})
    return {"doubled": 2 * number}
    yield


@registry.orchestration("orders.fails")
def fails(ctx):
    raise ValueError("the secret is <b>bold</b>")
    yield


@registry.orchestration("orders.counts")
def counts(ctx, end: int):
    """Counts the messages that it is sent, in its status and in its entries, and returns how many there were."""
    ctx.set_kv_value("limit", end)
    for number in range(end):
        ctx.set_custom_status({"count": number, "end": end, "text": f"<i>{number}</i>"})
        ctx.set_kv_value("count", number)
        yield ctx.dequeue_event("steps")
    ctx.clear_kv_value("count")
    return {"counted": end}


@registry.orchestration("orders.repeats")
def repeats(ctx, left: int):
    """Waits for an event in each of its executions."""
    yield ctx.wait_for_event("go")
    if left:
        yield ctx.continue_as_new(left - 1)
    return "repeated"


@registry.orchestration("orders.quiet")
def quiet(ctx):
    """Records events that change nothing which a client can see."""
    yield ctx.wait_for_event("go")
    yield ctx.wait_for_event("end")


class CustomerRules(DurablePermissions):
    """A customer watches her own order, whatever model permissions she has."""

    def can_view(self, user, instance):
        return (user.is_authenticated and instance.instance_id.startswith(f"{user.username}-")) or super().can_view(
            user, instance
        )


class OpenRules(DurablePermissions):
    """Everybody sees what is public."""

    def can_view(self, user, instance):
        return instance.instance_id.startswith("public") or super().can_view(user, instance)


@registry.orchestration("orders.talks")
def talks(ctx, count: int, words: StreamWriter[int] = Provided):
    """Sends some numbers and ends."""
    for number in range(count):
        yield words.send(number)


class WordsRules(DurablePermissions):
    """Everybody who is logged in sees instances and reads their words."""

    def can_view(self, user, instance):
        return user.is_authenticated

    def can_read_stream(self, user, instance, stream):
        return stream == "words"


def hide_items(place, value):
    """Show in place of what streams say where it stands."""
    return f"{place.instance_id} {place.name} {place.field}" if place.kind in ("Stream", "StreamItem") else value
