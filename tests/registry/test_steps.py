"""What `ctx.run` makes of callables that no registry has."""

from __future__ import annotations

import asyncio
import functools
import time
from datetime import date
from typing import Any

import pytest

from django_durable.engine.errors import InvalidArgument
from django_durable.registry import Registry
from django_durable.steps import Step

registry = Registry()


@registry.activity("known")
def known() -> None: ...


@registry.orchestration("whole")
def whole(ctx: Any) -> None: ...


def tomorrow() -> date: ...  # type: ignore[empty-body]


async def soon() -> date: ...  # type: ignore[empty-body]


def generated() -> Any:
    yield 1


async def generated_async() -> Any:
    yield 1


def unreduced(total: int) -> Any:
    yield 1


class Caller:
    def method(self) -> date: ...  # type: ignore[empty-body]

    async def __call__(self) -> date: ...  # type: ignore[empty-body]


HERE = "local:tests.registry.test_steps."


@pytest.mark.parametrize(
    ("function", "name", "is_async"),
    [
        (tomorrow, HERE + "tomorrow", False),
        (soon, HERE + "soon", True),
        (functools.partial(functools.partial(soon)), HERE + "soon", True),
        (Caller().method, HERE + "Caller.method", False),
        (Caller(), HERE + "Caller.__call__", True),
        (Caller, HERE + "Caller", False),
        (lambda: 1, HERE + "<lambda>", False),
        (time.sleep, "local:time.sleep", False),
        (asyncio.sleep, "local:asyncio.tasks.sleep", True),
        (len, "local:builtins.len", False),
        ("a".join, "local:str.join", False),
    ],
)
def test_a_callable_has_a_name_and_a_way_to_run(function: Any, name: str, is_async: bool) -> None:
    step = Step(function, registry.codec)

    assert (step.name, step.is_async) == (name, is_async)


@pytest.mark.parametrize("function", [tomorrow, soon, functools.partial(soon), Caller().method, Caller()])
def test_a_result_is_decoded_by_the_return_hint(function: Any) -> None:
    step = Step(function, registry.codec)

    assert step.decode_result(step.encode_result(date(2026, 1, 1))) == date(2026, 1, 1)


@pytest.mark.parametrize("function", [lambda: 1, len, time.sleep, Caller, functools.partial(len)])
def test_a_result_without_a_hint_is_plain(function: Any) -> None:
    assert Step(function, registry.codec).decode_result("[1]") == [1]


@pytest.mark.parametrize("ref", [known, known.function])
def test_an_activity_is_no_step(ref: Any) -> None:
    assert registry.get_step(ref) is None


async def coroutine() -> None: ...


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (whole, "Use schedule_sub_orchestration()"),
        (generated, "is a generator and takes no state"),
        (generated_async, "is a generator and takes no state"),
        (functools.partial(generated), "is a generator and takes no state"),
        (unreduced, "the hint of 'total' has no Reducer"),
        (5, "a callable, found 5"),
        (None, "a callable, found None"),
    ],
)
def test_what_cannot_run_as_a_step_is_refused_with_what_to_do(given: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message.replace("(", r"\(").replace(")", r"\)")):
        registry.get_step(given)


def test_the_result_of_a_call_is_refused_and_leaves_no_warning() -> None:
    with pytest.raises(InvalidArgument, match=r"Write run\(f, x\) instead of run\(f\(x\)\)"):
        registry.get_step(coroutine())  # type: ignore[arg-type]


def test_no_activity_may_have_the_name_of_a_step() -> None:
    with pytest.raises(InvalidArgument, match="those of local steps"):
        Registry().activity("local:mine")(known.function)
