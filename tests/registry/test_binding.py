"""Arguments to payload and back."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, TypedDict

import pytest
from django.contrib.auth.models import User
from hypothesis import given, strategies as st

from django_durable.codec import Binding, JsonCodec
from django_durable.engine.errors import PayloadError

if TYPE_CHECKING:
    from decimal import Decimal


@dataclass
class Line:
    sku: str
    quantity: int = 1


@dataclass
class Decorated:
    parent: Decorated | None
    binding: Binding


class Options(TypedDict):
    note: str


def none(ctx: Any) -> None: ...
def one(ctx: Any, order_id: int) -> None: ...
def two(ctx: Any, order_id: int, note: str = "n") -> None: ...
def needs_two(ctx: Any, sku: str, quantity: int) -> None: ...
def optional(ctx: Any, limit: int | None = 10) -> None: ...
def bare(ctx, input): ...  # type: ignore[no-untyped-def]
def bare_default(ctx, input=None): ...  # type: ignore[no-untyped-def]
def bare_other_default(ctx, input="x"): ...  # type: ignore[no-untyped-def]
def line(ctx: Any, line: Line) -> None: ...
def options(ctx: Any, options: Options | None = None) -> None: ...
def line_and_more(ctx: Any, line: Line, gift: bool = False) -> None: ...
def data_and_more(ctx: Any, data: dict[str, Any], flag: bool = False) -> None: ...
def data_default(ctx: Any, data: Any = None, flag: bool = False) -> None: ...
def many(ctx: Any, *dates: date) -> None: ...
def first_and_many(ctx: Any, first: int = 1, *rest: int) -> None: ...
def keywords(ctx: Any, **options: int) -> None: ...
def everything(ctx: Any, a: int, /, b: int = 2, *rest: int, c: int, d: int = 4, **more: int) -> None: ...
def keyword_only(ctx: Any, *, order_id: int, note: str = "") -> None: ...
def positional_only(ctx: Any, a: int = 1, b: int = 2, /) -> None: ...


def binding(function: Callable[..., Any]) -> Binding:
    return Binding(function, codec=JsonCodec(), what=f"activity {function.__name__!r}", skip=1)


def called(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters as a call of the function would set them, defaults included."""
    bound = inspect.signature(function).bind(None, *args, **kwargs)
    bound.apply_defaults()
    return bound.arguments


CALLS: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], str]] = [
    (none, (), {}, "null"),
    (one, (7,), {}, "7"),
    (one, (), {"order_id": 7}, "7"),
    (two, (7,), {}, "7"),
    (two, (), {"order_id": 7}, "7"),
    (two, (7, "x"), {}, '{"note":"x","order_id":7}'),
    (two, (7,), {"note": "n"}, '{"note":"n","order_id":7}'),
    (needs_two, ("a", 2), {}, '{"quantity":2,"sku":"a"}'),
    (optional, (), {}, "null"),
    (optional, (5,), {}, "5"),
    (optional, (None,), {}, '{"limit":null}'),
    (bare, (7,), {}, "7"),
    (bare, (None,), {}, "null"),
    (bare, ([1, 2],), {}, "[1,2]"),
    (bare, ({"input": 1},), {}, '{"input":1}'),
    (bare, ({},), {}, "{}"),
    (bare, (), {"input": {"input": 1}}, '{"input":1}'),
    (bare_default, (), {}, "null"),
    (bare_default, (None,), {}, "null"),
    (bare_default, ({"input": None},), {}, '{"input":null}'),
    (bare_other_default, (), {}, "null"),
    (line, (Line("a"),), {}, '{"quantity":1,"sku":"a"}'),
    (options, ({"note": "x"},), {}, '{"note":"x"}'),
    (line_and_more, (Line("a"),), {}, '{"quantity":1,"sku":"a"}'),
    (line_and_more, (Line("a"), True), {}, '{"gift":true,"line":{"quantity":1,"sku":"a"}}'),
    (data_and_more, ({"x": 1},), {}, '{"x":1}'),
    (data_and_more, ({"flag": 1},), {}, '{"flag":1}'),
    (data_and_more, ({"data": 1},), {}, '{"data":{"data":1}}'),
    (data_and_more, ({"data": {}, "flag": True},), {}, '{"data":{"data":{},"flag":true}}'),
    (data_and_more, ({},), {}, "{}"),
    (data_default, ({},), {}, '{"data":{}}'),
    (data_default, (None,), {}, "null"),
    (data_default, ({"flag": True},), {}, '{"data":{"flag":true}}'),
    (data_default, (), {"flag": True}, '{"flag":true}'),
    (many, (), {}, "null"),
    (many, (date(2026, 1, 2),), {}, '"2026-01-02"'),
    (many, (date(2026, 1, 2), date(2026, 1, 3)), {}, '{"dates":["2026-01-02","2026-01-03"]}'),
    (first_and_many, (5,), {}, "5"),
    (first_and_many, (5, 6, 7), {}, '{"first":5,"rest":[6,7]}'),
    (keywords, (), {}, "null"),
    (keywords, (), {"a": 1, "b": 2}, '{"options":{"a":1,"b":2}}'),
    (everything, (1,), {"c": 3}, '{"a":1,"c":3}'),
    (everything, (1, 2, 3), {"c": 5, "e": 7, "a": 8}, '{"a":1,"b":2,"c":5,"more":{"a":8,"e":7},"rest":[3]}'),
    (keyword_only, (), {"order_id": 7}, '{"order_id":7}'),
    (positional_only, (3,), {}, "3"),
    (positional_only, (3, 4), {}, '{"a":3,"b":4}'),
]  # fmt: skip


@pytest.mark.parametrize(("function", "args", "kwargs", "payload"), CALLS)
def test_a_call_is_written_as_documented_and_comes_back(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], payload: str
) -> None:
    made = binding(function)

    assert made.encode_call(args, kwargs) == payload
    assert called(function, *made.decode_call(payload)) == called(function, args, kwargs)


PLAIN = st.recursive(
    st.none() | st.integers() | st.sampled_from(["a", "data", "flag"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["a", "data", "flag", "input", "rest", "b"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def untyped(ctx, data=None, flag=3, *rest, b=5, **more): ...  # type: ignore[no-untyped-def]


@given(st.lists(PLAIN, max_size=4), st.dictionaries(st.sampled_from(["b", "x"]), PLAIN))
def test_whatever_is_given_comes_back_as_it_was_given(args: list[Any], kwargs: dict[str, Any]) -> None:
    made = binding(untyped)
    payload = made.encode_call(tuple(args), kwargs)

    assert called(untyped, *made.decode_call(payload)) == called(untyped, tuple(args), kwargs)


@pytest.mark.parametrize("function", [bare, bare_default, data_and_more, data_default, many, first_and_many, line])
@given(value=PLAIN)
def test_a_single_value_is_never_taken_for_arguments_by_name(function: Callable[..., Any], value: Any) -> None:
    made = Binding(_untyped(function), codec=JsonCodec(), what="it", skip=1)

    assert called(function, *made.decode_call(made.encode_call((value,), {}))) == called(function, (value,), {})


def _untyped(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function with the same parameters and no hints."""
    parameters = [
        each.replace(annotation=inspect.Parameter.empty) for each in inspect.signature(function).parameters.values()
    ]

    def made(*args: Any, **kwargs: Any) -> None: ...

    made.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    made.__annotations__ = {}
    return made


@pytest.mark.parametrize(
    ("function", "value", "payload"),
    [
        (one, {"order_id": 7}, "7"),
        (one, 7, "7"),
        (two, {"order_id": 7}, "7"),
        (two, {"order_id": 7, "note": "x"}, '{"note":"x","order_id":7}'),
        (needs_two, {"sku": "a", "quantity": 2}, '{"quantity":2,"sku":"a"}'),
        (none, None, "null"),
        (none, {}, "null"),
        (optional, None, "null"),
        (optional, {}, "null"),
        (bare, None, "null"),
        (bare, {"input": 7}, '{"input":7}'),
        (line, {"sku": "a"}, '{"sku":"a"}'),
        (line_and_more, {"sku": "a"}, '{"sku":"a"}'),
        (line_and_more, {"line": {"sku": "a"}, "gift": True}, '{"gift":true,"line":{"sku":"a"}}'),
        (line_and_more, {"line": {"sku": "a"}}, '{"sku":"a"}'),
        (many, {"dates": ["2026-01-02", "2026-01-03"]}, '{"dates":["2026-01-02","2026-01-03"]}'),
        (keywords, {"options": {"a": 1}}, '{"options":{"a":1}}'),
        (keyword_only, {"order_id": 7}, '{"order_id":7}'),
        (positional_only, {"b": 4}, '{"b":4}'),
    ],
)
def test_an_input_by_name_is_the_same_payload_as_the_call_it_means(
    function: Callable[..., Any], value: Any, payload: str
) -> None:
    made = binding(function)

    assert made.encode_input(value) == payload
    made.decode_call(payload)


def test_a_parameter_left_out_before_one_that_is_given_has_its_default() -> None:
    assert binding(positional_only).decode_call('{"b":4}') == ((1, 4), {})
    assert binding(first_and_many).decode_call('{"rest":[6]}') == ((1, 6), {})


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "words"),
    [
        (none, (7,), {}, "The input of activity 'none' does not fit: too many positional arguments. It takes ()."),
        (one, (), {}, "missing a required argument: 'order_id'"),
        (one, (7, 8), {}, "too many positional arguments. It takes (order_id: int)."),
        (two, (7,), {"nope": 1}, "got an unexpected keyword argument 'nope'"),
        (two, (7,), {"order_id": 8}, "multiple values for argument 'order_id'"),
        (keywords, (7,), {}, "too many positional arguments"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_at_the_call(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], words: str
) -> None:
    with pytest.raises(PayloadError) as caught:
        binding(function).encode_call(args, kwargs)

    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("function", "payload", "words"),
    [
        (none, "7", "The input of activity 'none' does not fit. It takes ()."),
        (one, '"x"', "The input of activity 'one' is not a valid int: Expected `int`, got `str`"),
        (two, '{"order_id":"x","note":"y"}', "The argument 'order_id' of activity 'two' is not a valid int"),
        (needs_two, '"a"', "lacks quantity. It takes (sku: str, quantity: int): pass an object with these keys."),
        (needs_two, '{"sku":"a"}', "lacks quantity"),
        (keywords, "[1]", "does not fit. It takes (**options: int)."),
        (keyword_only, "7", "does not fit"),
        (everything, '{"a":1,"c":2,"more":{"b":3}}', "has 'b' twice"),
        (many, '{"dates":"2026"}', "The argument 'dates' of activity 'many'"),
        (line, '{"sku":1}', "is not a valid Line"),
        (one, "{", "is not JSON"),
    ],
)
def test_a_payload_that_does_not_fit_is_refused_with_what_is_taken(
    function: Callable[..., Any], payload: str, words: str
) -> None:
    with pytest.raises(PayloadError) as caught:
        binding(function).decode_call(payload)

    assert words in str(caught.value)


def test_an_explicit_none_that_could_not_be_told_from_nothing_is_refused() -> None:
    with pytest.raises(PayloadError, match="Make None the default of 'input'"):
        binding(bare_other_default).encode_call((None,), {})


def test_arguments_are_decoded_by_their_hints() -> None:
    def function(ctx: Any, line: Line, days: list[date], *more: Line, **by_name: date) -> None: ...

    args, kwargs = binding(function).decode_call(
        json.dumps(
            {"line": {"sku": "a"}, "days": ["2026-01-02"], "more": [{"sku": "b"}], "by_name": {"x": "2026-01-03"}}
        )
    )

    assert args == (Line("a"), [date(2026, 1, 2)], Line("b"))
    assert kwargs == {"x": date(2026, 1, 3)}


def test_a_default_of_none_allows_none_whatever_the_hint_says() -> None:
    def function(ctx: Any, day: date = None, note: str = "") -> None: ...  # type: ignore[assignment]  # noqa: RUF013

    assert binding(function).decode_call('{"day":null,"note":"x"}') == ((None, "x"), {})


def test_a_hint_that_only_type_checkers_can_resolve_allows_everything_and_the_others_still_count() -> None:
    def function(ctx: Any, price: Decimal, day: date) -> Decimal: ...

    made = binding(function)

    assert made.decode_call('{"price":"1.5","day":"2026-01-02"}') == (("1.5", date(2026, 1, 2)), {})
    assert made.decode_result('"1.5"') == "1.5"
    assert [problem for problem in made.problems() if "'Decimal'" in problem] == made.problems() != []


def test_a_result_is_decoded_by_the_return_hint() -> None:
    def lines(ctx: Any) -> list[Line]: ...
    def nothing(ctx: Any) -> None: ...
    def unsaid(ctx, x): ...  # type: ignore[no-untyped-def]

    assert binding(lines).decode_result('[{"sku":"a"}]') == [Line("a")]
    assert binding(nothing).decode_result("7") == 7
    assert binding(unsaid).decode_result("[1]") == [1]
    with pytest.raises(PayloadError, match=r"The result of activity 'lines' is not a valid list\[.*Line\]"):
        binding(lines).decode_result("7")


def test_the_result_of_a_generator_is_what_it_returns() -> None:
    def typed(ctx: Any) -> Generator[Any, Any, Line]: ...
    def vague(ctx: Any) -> Iterator[Any]: ...
    def short(ctx: Any) -> Generator[Any]: ...  # type: ignore[type-arg, unused-ignore]

    assert binding(typed).decode_result('{"sku":"a"}') == Line("a")
    assert binding(vague).decode_result('{"sku":"a"}') == {"sku": "a"}
    assert binding(short).decode_result('{"sku":"a"}') == {"sku": "a"}


def test_an_argument_that_cannot_be_encoded_names_its_place() -> None:
    with pytest.raises(PayloadError, match=r"The input of activity 'needs_two' .* found at \$\.quantity an object"):
        binding(needs_two).encode_call(("a", object()), {})


def test_the_schema_of_an_input_has_a_property_for_each_parameter() -> None:
    schema = binding(line_and_more).input_schema()

    assert schema["properties"]["gift"] == {"type": "boolean", "default": False}
    assert schema["required"] == ["line"]
    assert schema["additionalProperties"] is False
    assert "Line" in schema["$defs"]


def test_the_schema_of_a_sole_object_is_its_own() -> None:
    assert binding(line).input_schema()["$ref"] == "#/$defs/Line"
    assert binding(bare).input_schema() == {}
    assert binding(two).output_schema() == {"type": "null"}


def test_problems_name_what_no_payload_can_be_decoded_as() -> None:
    def function(ctx: Any, x: str | date, y: Line | list[User], z: list[Decorated]) -> Callable[[], int]: ...

    text, model, nested, result = binding(function).problems()

    assert text.startswith("The argument 'x' of activity 'function' has a type hint that cannot be used.")
    assert model.startswith("The argument 'y' of activity 'function': User is a model, and a payload has no model")
    assert nested == (
        "The argument 'z' of activity 'function': Binding cannot be made from JSON: use a dataclass, a TypedDict or a "
        "pydantic model."
    )
    assert result.startswith("The result of activity 'function': Callable cannot be made from JSON")


@pytest.mark.parametrize("function", [function for function, *_ in CALLS])
def test_hints_that_can_be_decoded_are_no_problem(function: Callable[..., Any]) -> None:
    assert binding(function).problems() == []
