"""Pydantic models as payloads, where pydantic is installed."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec
import pytest

from django_durable.codec import Binding, JsonCodec
from django_durable.engine.errors import PayloadError

pydantic = pytest.importorskip("pydantic")
BaseModel, ConfigDict, Field, HttpUrl, RootModel = (
    pydantic.BaseModel, pydantic.ConfigDict, pydantic.Field, pydantic.HttpUrl, pydantic.RootModel
)  # fmt: skip

codec = JsonCodec()
T = TypeVar("T")


class Line(BaseModel):
    sku: str
    price: Decimal
    day: date | None = None


class Order(BaseModel):
    model_config = ConfigDict(strict=True)
    id: UUID
    placed: datetime
    lines: list[Line]
    tags: set[str] = set()
    raw: bytes = b""


class Aliased(BaseModel):
    order_id: int = Field(alias="orderId")


class Link(BaseModel):
    url: HttpUrl


class Page(BaseModel, Generic[T]):
    items: list[T]


class Numbers(RootModel[list[int]]):
    pass


class Positive(BaseModel):
    amount: int = Field(gt=0)


class Cat(BaseModel):
    meows: int


class Dog(BaseModel):
    barks: int


@dataclasses.dataclass
class Parcel:
    line: Line
    more: list[Line]


class Shelf(msgspec.Struct):
    line: Line


ORDER = Order(id=UUID(int=1), placed=datetime(2026, 1, 2, tzinfo=UTC), lines=[Line(sku="a", price=Decimal("1.10"))])


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (Line(sku="a", price=Decimal("1.10"), day=date(2026, 1, 2)), Line),
        (ORDER, Order),
        (ORDER, Order | None),
        (None, Order | None),
        (Aliased(orderId=7), Aliased),
        (Link(url="https://example.org/"), Link),
        (Page[Line](items=[Line(sku="a", price=Decimal("1"))]), Page[Line]),
        (Numbers([1, 2]), Numbers),
        ([ORDER], list[Order]),
        ({"a": ORDER}, dict[str, Order]),
        (Parcel(ORDER.lines[0], ORDER.lines), Parcel),
        (Shelf(ORDER.lines[0]), Shelf),
        (Cat(meows=1), Cat | Dog),
        (Dog(barks=1), Cat | Dog | None),
        ([Cat(meows=1), Dog(barks=2)], list[Cat | Dog]),
        (Line(sku="a", price=Decimal(1)), Line | int),
        (7, Line | int),
        (Parcel(ORDER.lines[0], []), Parcel | Line),
    ],
    ids=lambda each: str(each)[:40],
)
def test_a_model_comes_back_as_its_hint_says(value: Any, hint: Any) -> None:
    found = codec.decode(codec.encode(value), hint)

    assert found == value
    assert type(found) is type(value)


def test_a_set_in_a_model_is_written_in_one_order_whatever_order_it_has() -> None:
    order = ORDER.model_copy(update={"tags": {f"t{number}" for number in range(9)}})

    written = codec.decode(codec.encode([order]))[0]["tags"]

    assert written == sorted(written)


def test_what_the_model_refuses_is_refused_with_its_reason() -> None:
    with pytest.raises(PayloadError, match=r"The argument 'x' is not a valid Positive: (.|\n)*greater than 0"):
        codec.decode('{"amount":0}', Positive, "The argument 'x'")
    with pytest.raises(PayloadError, match=r"(.|\n)*greater than 0(.|\n)*\$\[0\]"):
        codec.decode('[{"amount":0}]', list[Positive])


def test_nan_in_a_model_is_refused() -> None:
    class Reading(BaseModel):
        value: float

    with pytest.raises(PayloadError):
        codec.encode(Reading(value=float("nan")))


def test_the_schema_of_a_model_is_the_one_that_pydantic_makes() -> None:
    assert codec.schema(Parcel)["$defs"]["Parcel"]["properties"]["line"] == Line.model_json_schema()
    assert codec.schema(Positive)["properties"]["amount"] == {
        "exclusiveMinimum": 0,
        "title": "Amount",
        "type": "integer",
    }


def test_a_sole_model_is_the_payload_and_its_fields_are_not_taken_for_arguments() -> None:
    def step(ctx: Any, sku: Line) -> None: ...

    binding = Binding(step, codec=codec, what="activity 'step'", skip=1)
    payload = binding.encode_call((Line(sku="a", price=Decimal(1)),), {})

    assert payload == '{"day":null,"price":"1","sku":"a"}'
    assert binding.decode_call(payload) == ((Line(sku="a", price=Decimal(1)),), {})
    assert binding.problems() == []
