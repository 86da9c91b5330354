"""Values to JSON text and back."""

from __future__ import annotations

import collections
import dataclasses
import enum
import json
import pathlib
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, Required, TypedDict, TypeVar
from uuid import UUID

import msgspec
import pytest
from django.contrib.auth.models import User
from django.utils.functional import SimpleLazyObject, lazystr
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from hypothesis import given, strategies as st

from django_durable.codec import JsonCodec
from django_durable.engine.errors import PayloadError

codec = JsonCodec()
T = TypeVar("T")
OrderId = NewType("OrderId", int)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


class Point(enum.Enum):
    ORIGIN = (0, 0)
    RIGHT = (1, 0)


class Season(enum.Enum):
    SPRING = date(2026, 3, 20)


@dataclasses.dataclass(frozen=True)
class Line:
    sku: str
    price: Decimal
    quantity: int = 1


@dataclasses.dataclass
class Order:
    id: UUID
    placed: datetime
    lines: list[Line]
    color: Color | None = None
    notes: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Page(Generic[T]):
    items: list[T]


@dataclasses.dataclass
class Paid:
    receipt: str


@dataclasses.dataclass
class Declined:
    reason: str


@dataclasses.dataclass
class Cat:
    name: str


@dataclasses.dataclass
class Dog:
    name: str


@dataclasses.dataclass
class Circle:
    size: int
    kind: Literal["circle"] = "circle"


@dataclasses.dataclass
class Square:
    size: int
    kind: Literal["square"] = "square"


@dataclasses.dataclass
class Settlement:
    outcome: Paid | Declined
    point: Point = Point.ORIGIN


@dataclasses.dataclass
class Tree:
    value: int
    children: list[Tree]


class Address(TypedDict):
    street: Required[str]
    zip: NotRequired[int]


class Version(NamedTuple):
    major: int
    released: date


class Tagged(msgspec.Struct, tag="tagged", rename="camel"):
    some_value: float
    by_number: dict[int, str] = {}


class Slug(str):
    pass


class Moment(datetime):
    """A subclass as freezegun or pendulum have it."""


def round_trip(value: Any, hint: Any) -> Any:
    return codec.decode(codec.encode(value), hint)


NOON = datetime(2026, 1, 2, 12, 0, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (None, str | None),
        (True, bool),
        (7, int),
        (2**64, int),
        pytest.param(-(10**4000), int, id="4,000 digits"),
        (1.5, float),
        ("é\x00😀", str),
        (b"\x00\xff", bytes),
        (NOON, datetime),
        (datetime(2026, 1, 2), datetime),
        (date(2026, 1, 2), date),
        (time(1, 2, 3), time),
        (timedelta(days=-3, microseconds=1), timedelta),
        (Decimal("1.10"), Decimal),
        (UUID(int=5), UUID),
        (Color.RED, Color),
        (Level.LOW, Level),
        (Point.RIGHT, Point),
        (Season.SPRING, Season),
        ({"b", "a"}, set[str]),
        (frozenset({3, 1}), frozenset[int]),
        ((1, "a"), tuple[int, str]),
        ((1, 2), tuple[int, ...]),
        ({1: "a", 2: "b"}, dict[int, str]),
        ({NOON.date(): 1}, dict[date, int]),
        ({UUID(int=5): 1}, dict[UUID, int]),
        ({Color.RED: 1}, dict[Color, int]),
        ([Line("a", Decimal("2"))], list[Line]),
        (Page([Line("a", Decimal("2"))]), Page[Line]),
        (Tree(1, [Tree(2, [])]), Tree),
        ({"street": "x"}, Address),
        (Version(1, date(2026, 1, 1)), Version),
        (Tagged(1.5, {1: "a"}), Tagged),
        ("a", Literal["a", "b"]),
        (5, OrderId),
        (5, Annotated[int, msgspec.Meta(gt=0)]),
        (Slug("a"), Slug),
        (pathlib.PurePosixPath("/a"), pathlib.PurePosixPath),
        (collections.deque([1, 2]), collections.deque),
        (collections.Counter("aab"), collections.Counter),
        (Order(UUID(int=1), NOON, [Line("a", Decimal("1"))], Color.BLUE, {"x": [1]}), Order),
    ],
)
def test_a_value_comes_back_as_its_hint_says(value: Any, hint: Any) -> None:
    found = round_trip(value, hint)

    assert found == value
    assert type(found) is type(value)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(JSON_VALUES)
def test_plain_json_comes_back_without_a_hint(value: Any) -> None:
    assert round_trip(value, Any) == value


@given(JSON_VALUES)
def test_a_payload_is_json_that_any_other_reader_takes(value: Any) -> None:
    assert json.loads(codec.encode(value)) == value


@given(st.timedeltas(), st.datetimes(timezones=st.just(UTC)), st.decimals(allow_nan=False), st.binary())
def test_what_is_written_as_text_comes_back_exactly(
    duration: timedelta, moment: datetime, number: Decimal, raw: bytes
) -> None:
    value = (duration, moment, number, raw)

    assert round_trip(value, tuple[timedelta, datetime, Decimal, bytes]) == value


@given(st.dictionaries(st.text(max_size=3, alphabet="abc"), st.integers()), st.randoms())
def test_the_order_of_keys_makes_no_difference(value: dict[str, int], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)

    assert codec.encode(dict(items)) == codec.encode(value)


@pytest.mark.parametrize(
    "value",
    [
        {"b", "a", "c"},
        {1, "a", None},
        {(1, "a"), (1, "b")},
        {frozenset({"a"}), frozenset({"b"}), frozenset({"c"}), frozenset({"d"})},
        {Line("b", Decimal(1)), Line("a", Decimal(1))},
        {Color.RED, Color.BLUE},
    ],
    ids=str,
)
def test_the_order_of_a_set_makes_no_difference(value: set[Any]) -> None:
    written = json.loads(codec.encode({"in": [value]}))["in"][0]

    assert written == sorted(written, key=lambda item: json.dumps(item, sort_keys=True))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (gettext_lazy("Yes"), "Yes"),
        (lazystr("x"), "x"),
        (SimpleLazyObject(lambda: "x"), "x"),
        ({1: SimpleLazyObject(lambda: [SimpleLazyObject(lambda: 7)])}, {"1": [7]}),
        (mark_safe("<b>"), "<b>"),
        ({"k": gettext_lazy("Yes")}, {"k": "Yes"}),
        (Moment(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        (range(3), [0, 1, 2]),
        ({1: {2: "a"}}, {"1": {"2": "a"}}),
        ({"a": {None, 1, "x"}}, {"a": ["x", 1, None]}),
        (dict.fromkeys("ba", 1).keys(), ["a", "b"]),
    ],
)
def test_values_are_written_as_what_they_stand_for(value: Any, expected: Any) -> None:
    assert round_trip(value, Any) == expected


@dataclasses.dataclass
class Reading:
    value: float
    label: str | None = None


class Stamp(msgspec.Struct):
    value: float


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (float("nan"), "found nan"),
        (float("-inf"), "found -inf"),
        ({"a": [1, {"b": float("nan")}]}, "found at $.a[1].b nan"),
        (Reading(float("inf")), "found at $.value inf"),
        ([Stamp(float("nan"))], "found at $[0].value nan"),
        (collections.OrderedDict(x=None, y=float("nan")), "found at $.y nan"),
    ],
)
def test_nan_and_infinity_are_refused_with_their_place(value: Any, place: str) -> None:
    with pytest.raises(PayloadError) as caught:
        codec.encode(value, "The result of activity 'a'")

    assert f"The result of activity 'a' cannot be encoded as JSON: {place}" in str(caught.value)


@pytest.mark.parametrize("value", [None, [None], {"a": None, "b": b"\xcb\x7f\xf8\x00"}, "null", Reading(1.0)])
def test_a_null_that_is_no_nan_passes(value: Any) -> None:
    assert json.loads(codec.encode(value)) is not ...


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (User(pk=7), ["a model instance (django.contrib.auth.models.User)", "pass its pk"]),
        (SimpleLazyObject(lambda: User(pk=7)), ["a model instance (django.contrib.auth.models.User)"]),
        ({"order": [User(pk=7)]}, ["at $.order[0] a model instance", "pass its pk"]),
        (User.objects.none(), ["a queryset", "values_list"]),
        ((each for each in "ab"), ["an iterator (generator)", "list(...)"]),
        (object(), ["an object of object", "dataclass"]),
        ({"k": {"x": ValueError("no")}}, ["at $.k.x an object of ValueError"]),
        (1j, ["an object of complex"]),
        ("a\ud800", ["half of a surrogate pair"]),
        ({"\ud800": 1}, ["half of a surrogate pair"]),
        ({"n": -(10**5000)}, ["at $.n a whole number of more digits", "as bytes"]),
        ({1: "a", "1": "b"}, ["two keys are '1' as text"]),
        ({(1, 2): 3}, ["the key (1, 2) (tuple)", "Use text"]),
        ({None: 3}, ["the key None"]),
        ({True: 3}, ["the key True"]),
        ({1.5: 3}, ["the key 1.5"]),
    ],
)
def test_what_cannot_be_a_payload_is_refused_with_what_to_do(value: Any, words: list[str]) -> None:
    with pytest.raises(PayloadError) as caught:
        codec.encode(value)

    text = str(caught.value)
    assert [word for word in words if word not in text] == [], text
    assert text.startswith("The value cannot be encoded as JSON: found ")
    assert text.endswith(".")


def test_a_coroutine_is_refused_with_what_to_do() -> None:
    async def step() -> None: ...

    coroutine = step()
    with pytest.raises(PayloadError, match=r"an awaitable .* Await or yield it"):
        codec.encode({"a": coroutine})
    coroutine.close()


def test_a_value_that_contains_itself_or_is_nested_too_deeply_is_refused() -> None:
    ring: list[Any] = []
    ring.append(ring)
    deep: Any = {1: 2}
    for _ in range(10_000):
        deep = [deep]

    for value in (ring, deep, {1: ring}):
        with pytest.raises(PayloadError, match="nested too deeply, or contains itself"):
            codec.encode(value)


@pytest.mark.parametrize("payload", ["[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 100_000])
def test_a_hostile_nesting_is_refused_and_harms_nothing(payload: str) -> None:
    for hint in (Any, list[Any], Tree, Paid | Declined):
        with pytest.raises(PayloadError):
            codec.decode(payload, hint)


def test_a_payload_over_the_limit_is_refused_with_both_numbers() -> None:
    limited = JsonCodec(limit=lambda: 1_500)
    assert len(limited.encode("x" * 1_498)) == 1_500

    with pytest.raises(PayloadError, match=r"The value is 1,501 bytes encoded, the limit is 1,500\."):
        limited.encode("x" * 1_499)
    with pytest.raises(PayloadError, match="1,502 bytes"):
        limited.encode("é" * 750)


@pytest.mark.parametrize("payload", ["", "{", "nope", "NaN", "[1,]", '"\\ud800"', "'a'", "1 2", '"a', "1e999"])
def test_text_that_is_not_json_is_refused(payload: str) -> None:
    with pytest.raises(PayloadError):
        codec.decode(payload)


@pytest.mark.parametrize(
    ("payload", "hint", "words"),
    [
        ('"x"', int, "is not a valid int: Expected `int`, got `str`"),
        ('{"sku":"a"}', Line, "is not a valid Line: Object missing required field `price`"),
        ('{"sku":"a","price":[]}', Line, "$.price"),
        ('["nope"]', list[date], "is not a valid list[datetime.date]: Invalid RFC3339 encoded date - at `$[0]`"),
        ('"green"', Color, "Invalid enum value 'green'"),
        ("[2,2]", Point, "Invalid enum value"),
        ("{}", Paid | Declined, "Expected `"),
        ("7", Reading | None, "Expected `object | null`, got `int`"),
    ],
)
def test_a_payload_that_does_not_fit_is_refused_with_its_place(payload: str, hint: Any, words: str) -> None:
    with pytest.raises(PayloadError) as caught:
        codec.decode(payload, hint, "The argument 'x'")

    assert str(caught.value).startswith("The argument 'x' ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (Paid("r"), Paid | Declined),
        (Declined("r"), Paid | Declined | None),
        ([Paid("r"), Declined("n")], list[Paid | Declined]),
        ({"x": Declined("n")}, dict[str, Paid | Declined]),
        ((Paid("r"), 1), tuple[Paid | Declined, int]),
        (Square(2), Circle | Square),
        (Circle(2), Circle | Square),
        (Settlement(Declined("n"), Point.RIGHT), Settlement),
        (Settlement(Paid("r")), Settlement | Paid),
        (Page([Paid("r"), Declined("n")]), Page[Paid | Declined]),
        (date(2026, 1, 2), date | datetime),
        (NOON, date | datetime),
        (Line("a", Decimal(1)), Line | list[Line]),
        (7, int | Line | str),
        ({"a": 1}, dict[str, int] | Line),
        (Color.RED, Color | Paid),
    ],
)
def test_a_union_is_decoded_as_the_member_that_was_written(value: Any, hint: Any) -> None:
    found = round_trip(value, hint)

    assert found == value
    assert type(found) is type(value)


def test_members_that_look_alike_are_refused_and_not_guessed() -> None:
    with pytest.raises(PayloadError, match=r"fits Cat and Dog alike; give each a field of its own"):
        round_trip(Dog("rex"), Cat | Dog)


@pytest.mark.parametrize("hint", [str | date, bytes | str, Decimal | str, list[str | UUID], Color | str])
def test_text_next_to_what_is_written_as_text_is_refused_before_any_value(hint: Any) -> None:
    with pytest.raises(PayloadError, match=r"The type hint .* cannot be used for a payload: .*told apart"):
        codec.decode("null", hint)


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (User, "User is a model, and a payload has no model instances: take its pk"),
        (complex, "complex cannot be made from JSON"),
        (pytest.Config, "Config cannot be made from JSON: use a dataclass"),
        (list[User], "User is a model"),
    ],
)
def test_a_class_that_json_cannot_make_is_refused(hint: Any, words: str) -> None:
    with pytest.raises(PayloadError) as caught:
        codec.decode('[{"pk":1}]' if hint == list[User] else '{"pk":1}', hint)

    assert words in str(caught.value)


@pytest.mark.parametrize("hint", [None, type(None), object, Any, T])
def test_a_hint_that_says_nothing_allows_everything(hint: Any) -> None:
    assert codec.decode('{"a":[1,null]}', hint) == {"a": [1, None]}


def test_a_class_with_a_name_that_does_not_exist_is_refused_with_the_name() -> None:
    broken = dataclasses.make_dataclass("Broken", [("x", "Missing")])

    with pytest.raises(PayloadError, match=r"The type hint Broken cannot be used .*'Missing'.*Import it at run time"):
        codec.decode("{}", broken)


def test_a_null_is_a_value_and_not_a_missing_one() -> None:
    assert codec.decode('{"sku":"a","price":"1","quantity":2}', Line) == Line("a", Decimal(1), 2)
    with pytest.raises(PayloadError):
        codec.decode('{"sku":null,"price":"1"}', Line)


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (int, {"type": "integer"}),
        (list[str], {"type": "array", "items": {"type": "string"}}),
        (Any, {}),
        (User, {}),
        (str | date, {"anyOf": [{"type": "string"}, {"type": "string", "format": "date"}]}),
        (User | date, {"anyOf": [{}, {"type": "string", "format": "date"}]}),
        (
            dict[str, tuple[str | date, ...]],
            {
                "type": "object",
                "additionalProperties": {
                    "type": "array",
                    "items": {"anyOf": [{"type": "string"}, {"type": "string", "format": "date"}]},
                },
            },
        ),
        (Color, {"$ref": "#/$defs/Color"}),
        (datetime, {"type": "string", "format": "date-time"}),
        (time | None, {"anyOf": [{"type": "string", "format": "time"}, {"type": "null"}]}),
    ],
)
def test_a_schema_says_what_is_known_and_allows_the_rest(hint: Any, expected: dict[str, Any]) -> None:
    found = codec.schema(hint)
    found.pop("$defs", None)

    assert found == expected


def test_a_schema_carries_the_definitions_it_refers_to() -> None:
    assert set(codec.schema(Order)["$defs"]) == {"Order", "Line", "Color"}
