"""Forms: `with` and `match`."""

from __future__ import annotations

import contextlib

from ..support import note, tick
from .common import AsyncManager, Manager, Order, form


@form("`with` and `match`")
async def with_suspended_inside():
    """`with`, suspended inside"""
    with Manager("m") as m:
        await tick()
        note(m.name)
    note("after")


@form("`with` and `match`")
async def with_that_swallows_an_error():
    """`with` that swallows an error"""
    with Manager("m", swallows=True):
        await tick()
        raise ValueError("no")
    note("after")


@form("`with` and `match`")
async def with_of_several_managers_left_in_order():
    """`with` of several managers, left in order"""
    with Manager("a") as a, Manager(await tick("b")) as b:
        await tick()
        note(a is b)


@form("`with` and `match`")
async def return_and_break_out_of_with():
    """`return` and `break` out of `with`"""
    for n in range(3):
        with Manager("m"):
            await tick(n)
            if n:
                break
    with Manager("last"):
        return await tick("out")


@form("`with` and `match`")
async def async_with():
    """`async with`"""
    async with AsyncManager("m") as name:
        await tick()
        note(name)


@form("`with` and `match`")
async def async_with_that_swallows_an_error():
    """`async with` that swallows an error"""
    async with AsyncManager("m", swallows=True), AsyncManager("n"):
        await tick()
        raise ValueError("no")
    note("after")


@form("`with` and `match`")
async def return_out_of_async_with():
    """`return` out of `async with`"""
    async with AsyncManager("m"):
        return await tick("out")


@form("`with` and `match`")
async def contextlib_suppress():
    """`contextlib.suppress`"""
    with contextlib.suppress(KeyError):
        await tick()
        raise KeyError
    return "after"


@form("`with` and `match`")
async def match_with_captures_suspended_in_a_case():
    """`match` with captures, suspended in a case"""
    for value in ([1, 2], {"k": 3}, Order(4), "text", None):
        match await tick(value):
            case [a, *rest]:
                await tick(a)
                note(rest)
            case {"k": k}:
                await tick(k)
            case Order(number=n) if n > 3:
                await tick(n)
            case str() as text:
                await tick(text)
            case _:
                await tick("other")
        note("next")


@form("`with` and `match`")
async def match_with_awaits_in_its_guards():
    """`match` with awaits in its guards"""
    match await tick(3):
        case n if await tick(n > 5):
            note("big")
        case n if await tick(n > 2):
            await tick("middle")
        case _:
            note("small")
