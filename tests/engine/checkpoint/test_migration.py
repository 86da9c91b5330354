"""Calls go on in other code only by an explicit rule."""

from __future__ import annotations

from typing import Any

import pytest

from django_durable.engine.checkpoint import CompiledFunction, Frame, Migration, compile_function, dump, load
from django_durable.engine.errors import CodeChanged, InvalidArgument

from .support import note, tick


async def ship(order: int) -> Any:
    paid = await tick(order)
    for part in range(2):
        await tick(part)
        note(part)
    return paid


NEWER = """\
async def ship(order: int) -> Any:
    checked = await tick("check")
    price = await tick(order)
    later = lambda: price
    for part in range(2):
        note("before")
        await tick(part)
    return later(), checked
"""


def suspended(function: CompiledFunction, steps: int) -> dict[str, Any]:
    frame = function(7)
    frame.send(None)
    for step in range(steps):
        frame.send(10 + step)
    return dump(frame)


def finished(frame: Frame) -> Any:
    try:
        while True:
            frame.send(None)
    except StopIteration as stop:
        return stop.value


@pytest.fixture
def older() -> CompiledFunction:
    return compile_function(ship)


@pytest.fixture
def newer(older: CompiledFunction) -> CompiledFunction:
    return older.from_source(NEWER)


def test_a_call_goes_on_where_the_rule_says_with_the_variables_it_makes(
    older: CompiledFunction, newer: CompiledFunction
) -> None:
    newer.accepts(
        Migration(
            recorded=older.hash,
            points={2: 3},
            variables=lambda found: {
                "order": found["order"],
                "part": found["part"],
                "price": found["paid"],
                "checked": "no",
            },
        )
    )
    # `later` is bound before the loop, so the call that goes on inside has none.
    frame = load(suspended(older, 1), find=lambda name, recorded: newer)
    assert (frame.at, frame.locals["price"]) == (3, 10)
    with pytest.raises(UnboundLocalError):
        finished(frame)


def test_a_point_that_the_rule_does_not_name_is_refused(older: CompiledFunction, newer: CompiledFunction) -> None:
    newer.accepts(Migration(recorded=older.hash, points={2: 3}))
    with pytest.raises(CodeChanged, match="says nothing of point 1"):
        load(suspended(older, 0), find=lambda name, recorded: newer)


def test_a_point_inside_other_loops_is_refused(older: CompiledFunction, newer: CompiledFunction) -> None:
    newer.accepts(Migration(recorded=older.hash, points={2: 1}))
    with pytest.raises(CodeChanged, match="Point 1 keeps other things than point 2 did"):
        load(suspended(older, 1), find=lambda name, recorded: newer)


def test_variables_that_the_newer_code_has_not_are_refused(older: CompiledFunction, newer: CompiledFunction) -> None:
    newer.accepts(Migration(recorded=older.hash, points={1: 2}, variables=lambda found: {**found, "gone": 1}))
    with pytest.raises(CodeChanged, match="It has no variable gone"):
        load(suspended(older, 0), find=lambda name, recorded: newer)


def test_a_rule_leads_to_points_that_are_there(older: CompiledFunction) -> None:
    with pytest.raises(InvalidArgument, match="has no point 9"):
        older.accepts(Migration(recorded="x", points={1: 9}))


async def deliver(order: int) -> Any:
    return ["delivered", await ship(order)]


def test_a_call_in_the_middle_of_others_moves_alone(older: CompiledFunction, newer: CompiledFunction) -> None:
    caller = compile_function(deliver)
    frame = caller(7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "ship", older)
        frame.send(None)
        frame.send(10)
    newer.accepts(Migration(recorded=older.hash, points={2: 3}, variables=lambda found: {"order": found["order"]}))
    moved = load(dump(frame), find=lambda name, recorded: {caller.name: caller, newer.name: newer}[name])
    assert (moved.at, moved.awaits.function, moved.awaits.at) == (1, newer, 3)


async def gather(orders: list[int]) -> Any:
    async def ship_one(order: int) -> int:
        weight = 2
        await tick(order)
        return order * weight

    unit = "kg"
    say = lambda value: f"{value} {unit}"  # noqa: E731
    shipped = [await ship_one(order) for order in orders]
    return [say(each) for each in shipped]


GATHERED_NEWER = """\
async def gather(orders: list[int]) -> Any:
    async def ship_one(order: int) -> int:
        await tick("check")
        await tick(order)
        return order * 3

    unit = "kg"
    say = lambda value: f"{value} {unit}!"
    shipped = [await ship_one(order) for order in orders]
    return [say(each) for each in shipped]
"""


@pytest.fixture
def gathered() -> tuple[dict[str, Any], CompiledFunction, str]:
    """A call that stands in a function inside, awaited in a comprehension; newer code; the hash of the older."""
    older = compile_function(gather)
    frame = older([1, 2])
    frame.send(None)
    frame.send(None)
    return dump(frame), older.from_source(GATHERED_NEWER), older.hash


def test_calls_of_functions_inside_and_of_comprehensions_go_on_by_rules_of_their_own(
    gathered: tuple[dict[str, Any], CompiledFunction, str],
) -> None:
    stored, newer, recorded = gathered
    inside = {
        "ship_one#1": Migration(points={1: 2}, variables=lambda found: {"order": found["order"]}),
        ".listcomp1#1": Migration(points={1: 1}),
        "<lambda>#1": Migration(),
    }
    newer.accepts(Migration(recorded=recorded, points={1: 1}, inside=inside))
    assert finished(load(stored, find=lambda name, recorded: newer)) == ["2 kg!", "6 kg!"]


def test_a_function_inside_that_shares_more_than_it_did_does_not_move(
    gathered: tuple[dict[str, Any], CompiledFunction, str],
) -> None:
    stored, newer, recorded = gathered
    newer = newer.from_source(GATHERED_NEWER.replace("order * 3", "order * len(unit)"))
    inside = dict.fromkeys(("ship_one#1", ".listcomp1#1", "<lambda>#1"), Migration())
    newer.accepts(Migration(recorded=recorded, points={1: 1}, inside=inside))
    with pytest.raises(CodeChanged, match="ship_one#1 shares unit, which it did not"):
        load(stored, find=lambda name, recorded: newer)


def test_what_is_inside_does_not_move_without_a_rule(gathered: tuple[dict[str, Any], CompiledFunction, str]) -> None:
    stored, newer, recorded = gathered
    newer.accepts(Migration(recorded=recorded, points={1: 1}))
    with pytest.raises(CodeChanged, match="The migration says nothing of '.*#1' inside"):
        load(stored, find=lambda name, recorded: newer)


def test_a_function_that_is_only_referred_to_may_have_changed(older: CompiledFunction, newer: CompiledFunction) -> None:
    assert load(dump([older]), find=lambda name, recorded: newer) == [newer]


def test_the_code_of_a_version_can_be_compiled_from_its_text(older: CompiledFunction) -> None:
    same = older.from_source(older.source)
    frame = load(suspended(older, 1), find=lambda name, recorded: same)
    assert finished(frame) == 10
