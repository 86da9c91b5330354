"""Forms: conditions and loops."""

from __future__ import annotations

from ..support import note, tick
from .common import Countdown, form


@form("Conditions and loops")
async def if_elif_else_nested():
    """`if`, `elif`, `else`, nested"""
    for n in range(3):
        if n == 0:
            await tick("zero")
        elif await tick(n == 1):
            if n:
                await tick("one")
                note("after one")
        else:
            await tick("two")
            note("after two")


@form("Conditions and loops")
async def if_whose_condition_changes_before_the_su():
    """`if` whose condition changes before the suspension"""
    x = True
    if x:
        x = False
        await tick()
        note("still here")
    else:
        note("never")
    return x


@form("Conditions and loops")
async def while_that_updates_its_condition():
    """`while` that updates its condition"""
    n = 0
    while n < 3:
        await tick(n)
        n += 1
    return n


@form("Conditions and loops")
async def while_with_an_await_in_its_condition():
    """`while` with an await in its condition"""
    n = 0
    while await tick(n < 3):
        n += 1
    return n


@form("Conditions and loops")
async def while_true_with_break_and_continue():
    """`while True` with `break` and `continue`"""
    n = 0
    while True:
        n += 1
        await tick(n)
        if n < 3:
            continue
        break
    return n


@form("Conditions and loops")
async def while_else():
    """`while`, `else`"""
    n = 2
    while n:
        n -= 1
        await tick(n)
    else:
        await tick("else")
        note("done")
    return n


@form("Conditions and loops")
async def for_over_a_list_that_grows():
    """`for` over a list that grows"""
    found = [1, 2]
    for n in found:
        await tick(n)
        if n < 4:
            found.append(n + 2)
    return found


@form("Conditions and loops")
async def for_with_break_continue_and_return():
    """`for` with `break`, `continue` and `return`"""
    for n in range(9):
        if await tick(n == 1):
            continue
        if n == 3:
            break
    for n in "ab":
        await tick(n)
        return n


@form("Conditions and loops")
async def for_else():
    """`for`, `else`"""
    for n in ():
        await tick(n)
    else:
        await tick("else")
    for n in (1,):
        if await tick(n):
            break
    else:
        note("never")


@form("Conditions and loops")
async def nested_loops_break_out_of_the_inner_one():
    """nested loops, `break` out of the inner one"""
    for a in range(2):
        for b in range(3):
            await tick((a, b))
            if b == a:
                break
        else:
            note("never")
        note((a, b))


@form("Conditions and loops")
async def for_with_a_target_that_awaits():
    """`for` with a target that awaits"""
    items = {}
    for items[await tick("k")] in [1, 2]:
        note(items["k"])
    return items


@form("Conditions and loops")
async def for_over_range_enumerate_zip_reversed_ma():
    """`for` over range, enumerate, zip, reversed, map"""
    for a in range(2):
        for i, b in enumerate("ab"):
            for c, d in zip([1, 2], (3, 4), strict=True):
                await tick((a, i, b, c, d))
    for e in reversed([1, 2]):
        await tick(e)
    for f in map(str, [1, 2]):
        await tick(f)


@form("Conditions and loops")
async def for_over_a_dict_its_items_its_values_a_s():
    """`for` over a dict, its items, its values, a set"""
    prices = {"a": 1, "b": 2}
    for key in prices:
        prices[key] += await tick(1)
    for key, value in prices.items():
        await tick((key, value))
    for value in prices.values():
        await tick(value)
    for one in {1}:
        await tick(one)


@form("Conditions and loops")
async def a_dict_that_changes_size_in_its_loop():
    """a dict that changes size in its loop"""
    prices = {"a": 1}
    for _ in prices:
        prices["b"] = await tick(2)


@form("Conditions and loops")
async def for_over_an_iterator_that_the_code_goes():
    """`for` over an iterator that the code goes on using"""
    left = iter([1, 2, 3, 4])
    for n in left:
        await tick(n)
        note(next(left))
    return list(left)


@form("Conditions and loops")
async def async_for_else():
    """`async for`, `else`"""
    async for n in Countdown(2):
        await tick(n)
    else:
        await tick("else")


@form("Conditions and loops")
async def async_for_with_break_and_continue():
    """`async for` with `break` and `continue`"""
    async for n in Countdown(4):
        if n == 2:
            continue
        if await tick(n == 1):
            break
    else:
        note("never")
    return n
