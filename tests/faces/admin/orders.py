"""Orchestrations of the admin's tests: one for each thing that a page can show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from django_durable import Registry, RetryPolicy

registry = Registry()
HOUR = timedelta(hours=1)
MARKUP = "<script>alert('x')</script>"


@registry.activity("shop.charge", retry=RetryPolicy(max_attempts=3, initial=HOUR, max_delay=HOUR))
def charge(order_id: int) -> str:
    raise OSError(f"{MARKUP} no answer for {order_id}")


@registry.activity("shop.reserve")
def reserve(order_id: int) -> str:
    return f"shelf {order_id}"


@registry.orchestration("shop.checkout", version="1.0.0")
def old_checkout(ctx, order_id: int, kind: Literal["home", "shop"] = "home", day: date | None = None):
    return "old"
    yield


@registry.orchestration("shop.checkout", version="1.1.0")
def checkout(
    ctx,
    order_id: int,
    kind: Literal["home", "shop"] = "home",
    day: date | None = None,
    express: bool = False,
    extras: list[str] | None = None,
):
    """Sell <b>something</b>."""
    yield ctx.schedule_activity(reserve, order_id)
    return [kind, str(day), express, extras]


@registry.orchestration("shop.takes_anything")
def takes_anything(ctx, order: dict[str, Any]):
    return order
    yield


@dataclass
class Decision:
    approved: bool
    comment: str
    limit: int | None = None
    due: date | None = None


@registry.orchestration("shop.asks")
async def asks(ctx, question: Any = f"Ship {MARKUP}?", assignee: str | None = None):
    decision = await ctx.request(question, Decision, name="shipping", assignee=assignee, deadline=HOUR)
    return [decision.approved, decision.comment, decision.limit, str(decision.due)]


@registry.orchestration("shop.asks_plainly")
def asks_plainly(ctx):
    number = yield ctx.request("How many?", int)
    anything = yield ctx.request({"what": "else"})
    return [number, anything]


@registry.orchestration("shop.charges")
def charges(ctx, order_id: int):
    return (yield ctx.schedule_activity(charge, order_id))


@registry.orchestration("shop.waits")
def waits(ctx, note: str = ""):
    """Reserves, then waits for an event, a message and a day."""
    ctx.set_custom_status({"progress": 0.25, "text": note or "waiting"})
    ctx.set_kv_value("note", note)
    yield ctx.schedule_activity(reserve, 1)
    yield ctx.race(ctx.wait_for_event("go"), ctx.dequeue_event("orders"), ctx.schedule_timer(timedelta(days=1)))
    return note


@registry.orchestration("shop.fails")
def fails(ctx, note: str = "broken on purpose"):
    raise ValueError(note)
    yield


@registry.orchestration("shop.parent")
def parent(ctx, children: int = 1):
    names = [f"{ctx.instance_id}-{number}" for number in range(children)]
    yield ctx.all(ctx.schedule_sub_orchestration_with_id(waits, name) for name in names)


@registry.orchestration("shop.counts")
def counts(ctx, times: int):
    """Continues as new."""
    yield ctx.schedule_activity(reserve, times)
    if times:
        return (yield ctx.continue_as_new(times - 1))
    return "counted"


@registry.orchestration("shop.many")
def many(ctx, times: int):
    """Runs one activity often."""
    for number in range(times):
        yield ctx.schedule_activity(reserve, number)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(Enum):
    SMALL = 1
    LARGE = 2


@dataclass
class Address:
    street: str
    city: str = "Bern"


class Item(BaseModel):
    sku: str
    count: int = Field(ge=1, le=9)


@registry.orchestration("shop.typed")
def typed(
    ctx,
    words: str,
    count: int,
    ratio: float,
    price: Decimal,
    flag: bool,
    day: date,
    at: datetime,
    hour: time,
    length: timedelta,
    colour: Colour,
    size: Size,
    kind: Literal["home", "shop"],
    number: Literal[1, 2],
    key: UUID,
    address: Address,
    item: Item,
    tags: list[str],
    nothing: int | None,
):
    """Takes one of everything."""
    first = [words, count, ratio, price, flag, day]
    last = [hour, length, colour, size, kind, number, key, address, item, tags, nothing]
    return [*map(repr, first), at.isoformat(), *map(repr, last)]
    yield


@registry.orchestration("shop.ships")
def ships(ctx, address: Address):
    return address.city
    yield
