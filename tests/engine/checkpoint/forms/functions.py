"""Forms: functions."""

from __future__ import annotations

import functools

from ..support import tick
from .common import form


@form("Functions")
async def lambdas_and_functions_that_see_later_cha():
    """lambdas and functions that see later changes"""
    x = 1
    read = lambda: x  # noqa: E731

    def add(n, by=2):
        nonlocal x
        x += n * by

    add(await tick(1))
    await tick()
    add(2)
    return x, read()


@form("Functions")
async def an_async_def_inside_called_and_awaited():
    """an `async def` inside, called and awaited"""
    total = 0

    async def add(n):
        nonlocal total
        total += await tick(n)
        return total

    await add(1)
    again = add
    await tick()
    return await again(2), total


@form("Functions")
async def a_closure_over_a_closure():
    """a closure over a closure"""

    def counter():
        n = 0

        def up():
            nonlocal n
            n += 1
            return n

        async def later():
            await tick()
            return up()

        return later

    count = counter()
    return await count(), await count()


@form("Functions")
async def recursion():
    """recursion"""

    async def down(n):
        return n and n + await down(n - await tick(1))

    return await down(4)


@form("Functions")
async def an_error_that_crosses_frames():
    """an error that crosses frames"""

    async def fails():
        await tick()
        raise ValueError("inner")

    try:
        await fails()
    except ValueError as error:
        await tick()
        return str(error)


@form("Functions")
async def a_call_kept_in_a_variable_before_it_is_a():
    """a call kept in a variable before it is awaited"""

    async def child(n):
        return await tick(n)

    first, second = child(1), child(2)
    await tick()
    return await second, await first


@form("Functions")
async def a_decorated_function_inside():
    """a decorated function inside"""

    def twice(function):
        @functools.wraps(function)
        async def wrapper(*args):
            return await function(*args) + await function(*args)

        return wrapper

    @twice
    async def child(n):
        return await tick(n)

    return await child(2)


@form("Functions")
async def generator_expressions_and_generators_use():
    """generator expressions and generators used up at once"""

    def numbers():
        yield 1
        yield 2

    await tick()
    return sum(n for n in range(3)), list(numbers())


@form("Functions")
async def a_class_inside_that_is_gone_before_the_s():
    """a class inside that is gone before the suspension"""

    class Local:
        value = 1

    x = Local().value
    del Local
    await tick()
    return x
