"""Annotations say what comes back: of inputs, outputs, events, messages, KV and children, in both styles."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Generic, Literal, NamedTuple, TypedDict, TypeVar
from uuid import UUID

import pytest
from pydantic import BaseModel

from django_durable.testing import assert_replays

T = TypeVar("T")


class Colour(Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: int


class Note(TypedDict):
    text: str


@dataclass
class Box(Generic[T]):
    content: T
    at: date = date(2026, 1, 1)


@dataclass
class Card:
    number: str
    kind: Literal["card"] = "card"


@dataclass
class Cash:
    amount: Decimal
    kind: Literal["cash"] = "cash"


class Model(BaseModel):
    name: str
    boxes: list[int]


CASES = [
    (Box[Card], Box(Card("4929"))),
    (Box[list[Point]], Box([Point(1, 2)], date(2026, 2, 3))),
    (Card | Cash, Cash(Decimal("1.10"))),
    (list[Card | Cash], [Card("1"), Cash(Decimal(2))]),
    (Model, Model(name="a", boxes=[1])),
    (dict[UUID, Model], {UUID(int=1): Model(name="b", boxes=[])}),
    (Model | None, None),
    (set[Colour], {Colour.RED}),
    (tuple[int, str], (1, "a")),
    (Note, {"text": "x"}),
    (datetime, datetime(2026, 1, 1, 12, 30, 1, 5)),
]


@pytest.mark.parametrize(("kind", "value"), CASES, ids=[str(kind) for kind, _ in CASES])
def test_a_value_comes_back_as_what_the_annotation_says(registry, durable, told, kind, value):
    seen = []

    def check(found):
        seen.append(found == value and type(found) is type(value))
        return found

    def given(value: kind) -> kind:
        return check(value)

    given.__annotations__ = {"value": kind, "return": kind}
    activity = registry.activity("given")(given)

    def child(ctx, value):
        return check(value)
        yield

    def story(ctx, value):
        check(value)
        check((yield ctx.schedule_activity(activity, value)))
        check((yield ctx.schedule_sub_orchestration("child", value)))
        check((yield ctx.wait_for_event("e", kind)))
        check((yield ctx.dequeue_event("q", kind)))
        ctx.set_kv_value("kv", value)
        check(ctx.get_kv_value("kv", kind))
        return value

    for name, code in (("child", child), ("story", story)):
        made = told(code)
        made.__annotations__ = {"value": kind, "return": kind}
        registry.orchestration(name)(made)

    durable.client.start_definition(registry.get_orchestration("story"), (value,), {}, instance_id="s")
    durable.client.raise_event("s", "e", value)
    durable.client.enqueue_event("s", "q", value)
    durable.run()
    assert check(durable.client.get_output("s")) == value
    assert check(durable.client.get_kv_value_typed("s", "kv", kind)) == value
    assert seen == [True] * 10
    assert_replays(registry.environment, durable.client.read_execution_history("s"))
