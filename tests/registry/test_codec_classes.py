"""Classes that need more than the compiled encoder and decoder."""

from __future__ import annotations

import collections
import dataclasses
import enum
import json
from collections.abc import Mapping, Sequence, Set as AbstractSet
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, LiteralString, NamedTuple, NotRequired, TypedDict
from uuid import UUID

import msgspec
import pytest

from django_durable.codec import JsonCodec
from django_durable.engine.errors import PayloadError

codec = JsonCodec()


@dataclasses.dataclass(frozen=True)
class Paid:
    receipt: str


@dataclasses.dataclass(frozen=True)
class Declined:
    reason: str


@dataclasses.dataclass(frozen=True)
class Even:
    number: int

    def __post_init__(self) -> None:
        if self.number % 2:
            raise ValueError(f"{self.number} is odd")


@dataclasses.dataclass
class Leaf:
    value: int


@dataclasses.dataclass
class Branch:
    left: Branch | Leaf
    right: Branch | Leaf | None = None


class Event(TypedDict):
    outcome: Paid | Declined
    note: NotRequired[str]


class Row(NamedTuple):
    outcome: Paid | Declined
    count: int = 1


class Tagged(msgspec.Struct, tag="tagged"):
    reason: str


class Listed(msgspec.Struct, array_like=True):
    by_number: dict[int, str]


class Mixed(enum.Enum):
    NONE = None
    ONE = 1
    PAIR = ("a", 2)


class Rank(enum.Enum):
    FIRST = "first"
    SECOND = 2


class Season(enum.Enum):
    SPRING = date(2026, 3, 20)


Outcome = Annotated[Paid | Declined, "how it ended"]


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (Branch(Branch(Leaf(1), None), Leaf(2)), Branch),
        ([Branch(Leaf(1)), Leaf(2)], list[Branch | Leaf]),
        ({Paid("r"), Declined("n")}, set[Paid | Declined]),
        (frozenset({Paid("r")}), frozenset[Paid | Declined]),
        ({Paid("r")}, AbstractSet[Paid | Declined]),
        ([Paid("r")], Sequence[Outcome]),
        ((Paid("r"), Declined("n")), tuple[Outcome, ...]),
        ((1, Declined("n")), tuple[int, Outcome]),
        ({1: Declined("n")}, dict[int, Outcome]),
        ({"a": Declined("n")}, Mapping[str, Outcome]),
        (collections.OrderedDict(a=Declined("n")), collections.OrderedDict[str, Declined]),
        (collections.defaultdict(int, {1: Declined("n")}), collections.defaultdict[int, Declined]),
        (collections.Counter({date(2026, 1, 1): 2}), collections.Counter[date]),
        (collections.deque([Declined("n")]), collections.deque[Declined]),
        ({"outcome": Declined("n")}, Event),
        (Row(Declined("n")), Row),
        (Tagged("x"), Tagged | Paid),
        (Declined("x"), Tagged | Declined),
        (Listed({1: "a"}), Listed),
        (Mixed.PAIR, Mixed),
        (Mixed.NONE, Mixed),
        ([Season.SPRING, None], list[Season | None]),
        ({Rank.FIRST: 1, Rank.SECOND: 2}, dict[Rank, int]),
        ("a", LiteralString),
        ([date(2026, 1, 1), datetime(2026, 1, 1)], list[date | datetime]),
        (collections.defaultdict(int, a=1), collections.defaultdict),
        (UUID(int=1), UUID | date),
    ],
    ids=str,
)
def test_a_value_of_a_hint_that_cannot_be_compiled_comes_back(value: Any, hint: Any) -> None:
    found = codec.decode(codec.encode(value), hint)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("payload", "hint", "words"),
    [
        ('{"left":{"left":7}}', Branch, "Expected `"),
        ('{"outcome":{}}', Event, "Expected `"),
        ("{}", Event, "Object missing required field `outcome`"),
        ("7", Event, "Expected `object`, got `int`"),
        ("{}", list[Paid | Declined], "Expected `array`, got `dict`"),
        ("[1]", tuple[int, Paid | Declined], "Expected `array` of length 2, got 1"),
        ("[]", Row, "missing 1 required positional argument"),
        ('{"number":3}', Even | Paid, "Expected `"),
        ('{"x":{}}', dict[int, Paid | Declined], "Expected `int`, got `str`"),
        ('"b"', Mixed, "Invalid enum value 'b'"),
        ('{"first":1,"third":3}', dict[Rank, int], "Invalid enum value 'third'"),
        ("null", Paid | Declined, "got `NoneType`"),
        ('"x"', collections.Counter, "Counter cannot be made from JSON"),
    ],
)
def test_a_payload_that_does_not_fit_it_is_refused(payload: str, hint: Any, words: str) -> None:
    with pytest.raises(PayloadError) as caught:
        codec.decode(payload, hint)

    assert words in str(caught.value)


class Text(str): ...


class Number(int): ...


class Ratio(float): ...


class Raw(bytes): ...


class Money(Decimal): ...


class Key(UUID): ...


class Pause(timedelta): ...


class Moment(datetime): ...


class Day(date): ...


class Hour(time): ...


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Text("a"), "a"),
        (Number(7), 7),
        (Ratio(1.5), 1.5),
        (Raw(b"\x00"), b"\x00"),
        (Money("1.10"), Decimal("1.10")),
        (Key(int=1), UUID(int=1)),
        (Pause(1, 2, 3), timedelta(1, 2, 3)),
        (Moment(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)),
        (Day(2026, 1, 2), date(2026, 1, 2)),
        (Hour(1, 2, 3, 4), time(1, 2, 3, 4)),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_subclass_is_written_as_its_base_is(value: Any, plain: Any) -> None:
    assert codec.encode(value) == codec.encode(plain)
    assert codec.encode({1: [value, {None, 1}]}) == codec.encode({1: [plain, {None, 1}]})


@pytest.mark.parametrize("kind", [Text, Number, Ratio, Money, Key])
def test_a_subclass_of_a_scalar_comes_back_as_itself(kind: Any) -> None:
    value = kind(int=1) if kind is Key else kind("1")

    found = codec.decode(codec.encode({"x": [value]}), dict[str, list[kind]])["x"][0]

    assert found == value
    assert type(found) is kind


def test_the_order_of_fields_in_a_class_makes_no_difference() -> None:
    one = dataclasses.make_dataclass("One", ["a", "b"])
    other = dataclasses.make_dataclass("Other", ["b", "a"])

    assert codec.encode(one(a=1, b=2)) == codec.encode(other(a=1, b=2)) == '{"a":1,"b":2}'


def test_a_struct_keeps_its_names_and_tag_the_slow_way_too() -> None:
    class Odd(msgspec.Struct, tag="odd", rename="camel"):
        by_number: Any

    assert json.loads(codec.encode(Odd({1: "a"}))) == {"type": "odd", "byNumber": {"1": "a"}}
    assert json.loads(codec.encode(Odd({"1": "a"}))) == {"type": "odd", "byNumber": {"1": "a"}}
