"""Forms that are refused: when they are decorated, or when a checkpoint is made while something is live."""

from __future__ import annotations

import asyncio
import contextlib
import threading

from django_durable.engine.pauses import PauseForEventException

from ..support import note, tick
from .common import refused, unstorable


@refused("Collect the values in a list")
async def yields():
    """`yield` in an `async def`"""
    yield await tick()


@refused("Write a list comprehension")
async def awaits_in_a_generator_expression():
    """an await inside a generator expression"""
    return [n async for n in (await tick(n) for n in range(2))]


@refused("catch the group with `except BaseExceptionGroup`")
async def awaits_in_except_star():
    """an await inside `try` with `except*`"""
    try:
        await tick()
    except* ValueError:
        pass


@refused("catch the group with `except BaseExceptionGroup`")
async def pauses_in_except_star():
    """`raise PauseForEventException` inside `try` with `except*`"""
    try:
        raise PauseForEventException("allow")
    except* ValueError:
        pass


@refused("Write `raise` without `from`")
async def pauses_from_something():
    """`raise PauseForEventException(...) from` something"""
    raise PauseForEventException("allow") from None


@refused("Assign it to a variable before")
async def awaits_in_what_is_caught():
    """an await in what an `except` catches"""
    try:
        note(1)
    except await tick(ValueError):  # noqa: B030
        pass


@refused("Assign it to a variable before the definition")
async def awaits_in_a_default():
    """an await in a decorator, a default or a base"""

    def inner(n=await tick(1)):  # noqa: B008
        return n

    return inner()


@unstorable("variable 'squares'")
async def live_generator():
    """a generator that is live across a suspension"""
    squares = (n * n for n in range(3))
    next(squares)
    await tick()
    return list(squares)


@unstorable("variable 'lock'")
async def lock():
    """a lock, a file, a socket"""
    lock = threading.Lock()
    await tick()
    return lock


@unstorable("The manager of a `with`.gen")
async def generator_manager():
    """`with` a manager that `contextlib.contextmanager` made"""

    with managed():
        await tick()


@contextlib.contextmanager
def managed():
    yield 1


@unstorable("variable 'local'")
async def instance_of_a_local_class():
    """an instance of a class that is defined inside"""

    class Local:
        pass

    local = Local()
    await tick()
    return local


@unstorable("Make plain() durable")
async def plain_coroutine():
    """a call of a function that is not compiled"""
    await plain()


async def plain():
    await asyncio.sleep(0)
