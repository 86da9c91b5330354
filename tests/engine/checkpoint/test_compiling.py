"""A compiled function does what the author's function does, and can be stored wherever it waits."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from django_durable.engine.checkpoint import Frame, compile_function, dump, load
from django_durable.engine.errors import CheckpointDamaged, CodeChanged, NotCompilable, Unstorable

from .support import Tick, World, both, note, notes, run, tick


async def checkout(order: int, *, fee: int = 2) -> tuple[int, list[int]]:
    paid = []
    for part in range(order):
        paid.append(await tick(part) + fee)
    total = sum(paid)
    note("total")
    return total, paid


def test_a_call_is_a_coroutine_that_binds_arguments_as_the_function_does():
    compiled = compile_function(checkout)
    assert run(compiled(2, fee=1)).result == (3, [1, 2])
    with pytest.raises(TypeError, match="checkout\\(\\) missing 1 required positional argument: 'order'"):
        compiled()


def test_locals_and_position_survive_a_new_process():
    assert both(checkout, 3).result == (9, [2, 3, 4])


def test_a_frame_tells_where_it_stands():
    frame = compile_function(checkout)(3)
    assert frame.at == 0
    asked = frame.send(None)
    asked = frame.send(asked.value)
    assert (frame.at, frame.function.points[0].text) == (1, "await tick(part)")
    assert frame.line == frame.function.points[0].line
    assert frame.locals == {"order": 3, "fee": 2, "paid": [2], "part": 1}
    assert frame.awaits is asked


async def countdown(left: int) -> int:
    return left if left == 0 else await countdown(left - 1) + await tick(1)


def test_a_function_calls_itself_by_its_name_in_the_module(monkeypatch):
    compiled = compile_function(countdown)
    monkeypatch.setitem(globals(), "countdown", compiled)
    assert run(compiled(3), World(compiled)).result == 3


class Account:
    __secret = "s"

    def __init__(self) -> None:
        self.paid = 0

    def name(self) -> str:
        return "account"


class Special(Account):
    __secret = "special"

    async def pay(self, amount: int) -> tuple[Any, ...]:
        self.paid += await tick(amount)
        return self.paid, self.__secret, super().name(), [super(Special, self).name() for _ in (1,)]


def test_a_method_knows_its_class():
    compiled = compile_function(Special.pay)
    account = Special()
    assert run(compiled(account, 3), World(compiled)).result == (3, "special", "account", ["account"])


class Pause(Exception):
    def __init__(self, event: str) -> None:
        self.event = event


def test_a_pause_that_is_raised_is_waited_for():
    async def pausing() -> Any:
        try:
            raise Pause("allow")
        except Pause:
            note("never")
        try:
            error = ValueError("an error")
            raise error
        except ValueError:
            return note("resumed, and caught")

    compiled = compile_function(pausing, pause=Pause, adapt=lambda awaited: Tick(awaited.event))
    frame = compiled()
    assert frame.send(None).value == "allow"
    frame = World(compiled).reborn(frame)
    frame.send(None)
    with pytest.raises(StopIteration) as stop:
        frame.send(None)
    assert stop.value.value == "resumed, and caught"


def test_dropping_a_frame_runs_none_of_its_cleanup():
    async def careful():
        try:
            await tick()
        except GeneratorExit:
            note("caught")
            raise
        finally:
            note("cleaned up")

    frame = compile_function(careful)()
    frame.send(None)
    notes.clear()
    frame.close()
    frame = compile_function(careful)()
    frame.send(None)
    notes.clear()
    del frame
    assert notes == []


def test_what_is_thrown_into_a_loaded_frame_is_raised_at_its_await():
    async def outer():  # calls the frame of another function
        try:
            return await inner()
        except ValueError as error:
            return note(f"outer caught {error}")

    async def inner():
        try:
            await tick()
        finally:
            note("inner ends")

    compiled_inner = inner = compile_function(inner)
    compiled = compile_function(outer)
    frame = compiled()
    frame.send(None)
    frame = World(compiled, compiled_inner).reborn(frame)
    notes.clear()
    with pytest.raises(StopIteration) as stop:
        frame.throw(ValueError("stop"))
    assert stop.value.value == "outer caught stop"
    assert notes == ["inner ends", "outer caught stop"]


def test_what_two_variables_share_is_shared_after_loading():
    async def sharing():
        first: list[Any] = []
        second = {"list": first, "self": None}
        second["self"] = second
        read = lambda: first  # noqa: E731
        await tick()
        first.append(1)
        return second["list"] is first, second["self"] is second, read() is first, first

    assert both(sharing).result == (True, True, True, [1])


def test_what_cannot_be_stored_is_named_with_its_variable_and_line():
    async def hiding():
        stuff = {"deep": [], "live": (x for x in range(3))}
        await tick()
        return stuff

    frame = compile_function(hiding)()
    frame.send(None)
    with pytest.raises(Unstorable, match=r"Variable 'stuff'\['live'\] of .*hiding \(line \d+\) is a generator"):
        dump(frame)


def test_a_call_that_is_not_compiled_cannot_be_stored():
    async def plain():
        await tick()

    async def caller():
        await plain()

    frame = compile_function(caller)()
    frame.send(None)
    with pytest.raises(Unstorable, match="is a coroutine, .* Make .*plain\\(\\) durable"):
        dump(frame)


def test_other_code_does_not_resume_a_frame():
    compiled = compile_function(checkout)
    frame = compiled(1)
    frame.send(None)
    data = dump(frame)
    changed = compiled.from_source(compiled.source.replace("+ fee", "- fee"))
    with pytest.raises(CodeChanged, match="checkout stands in code"):
        load(data, find=lambda name, recorded: changed)
    same = compiled.from_source(compiled.source.replace("paid = []", "paid = []  # nothing yet"))
    assert isinstance(load(data, find=lambda name, recorded: same), Frame)


def test_damaged_data_is_told_apart():
    for data in ({}, {"version": 1, "root": [3], "objects": []}, {"version": 1, "root": [0], "objects": [["odd"]]}):
        with pytest.raises(CheckpointDamaged):
            load(json.loads(json.dumps(data)), find=World().find)


async def generating():
    yield 1


async def summing():
    return sum(await tick(x) for x in range(3))


@pytest.mark.parametrize(
    ("function", "says"),
    [(generating, "a yield"), (summing, "Write a list comprehension")],
)
def test_what_cannot_be_compiled_is_refused_with_its_line(function, says):
    with pytest.raises(NotCompilable, match=says) as refused:
        compile_function(function)
    assert refused.value.file == __file__
    assert refused.value.line >= function.__code__.co_firstlineno


def test_tokens_stand_for_what_is_not_written():
    class Part:
        pass

    part = Part()

    async def using(ctx: Any) -> Any:
        await tick()
        return ctx

    compiled = compile_function(using)
    frame = compiled(part)
    asked = frame.send(None)
    data = dump(
        {"frame": frame},
        reference=lambda value: "part" if isinstance(value, Part) else "tick" if value is asked else None,
    )
    again = load(data, find=World(compiled).find, resolve={"part": part, "tick": Tick(7)}.get)["frame"]
    again.send(None)
    with pytest.raises(StopIteration) as stop:
        again.send(None)
    assert stop.value.value is part


async def keeps_a_partial_of_itself():
    def told(what):
        return what, again is kept[0]

    again = functools.partial(told, "again")
    kept = (again,)
    await tick()
    return again(), kept[0]()


def test_a_partial_may_be_called_with_what_it_is_in():
    assert both(keeps_a_partial_of_itself).result == (("again", True), ("again", True))


async def comprehends(found):
    for n in found:
        await tick([each for each in found if each != n])
    return [await tick(other) for other in found]


def test_what_only_a_comprehension_binds_is_no_variable_on_any_version_of_python():
    scope = compile_function(comprehends).template.scope
    assert {*scope.plain, *scope.shared} == {"found", "n"}
