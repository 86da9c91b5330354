"""Generators driven as coroutines, and the end of both: what closing does with cleanup that awaits or raises."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from django_durable.engine.driving import close_fully, drive
from django_durable.engine.errors import (
    NotAwaitable,
)
from django_durable.engine.loop import CancelledError

from .support import LoopHost

STEPS = 1000


# What a generator yields is awaited.


def driven(generator: Any) -> Any:
    async def main():
        return await drive(generator)

    return LoopHost().run(main)


def test_a_generator_gets_what_it_yields_awaited() -> None:
    def story():
        first = yield asyncio.sleep(0, 1)
        second = yield asyncio.gather(asyncio.sleep(0, 2), asyncio.sleep(0, 3))
        return [first, *second]

    assert driven(story()) == [1, 2, 3]


def test_a_generator_gets_the_error_of_what_it_yields_at_its_yield() -> None:
    async def broken():
        raise ValueError("no")

    def story():
        try:
            yield broken()
        except ValueError as error:
            text = str(error)
        return (yield asyncio.sleep(0, text))

    assert driven(story()) == "no"


@pytest.mark.parametrize("thing", [3, None, {"type": "activity"}, [asyncio.sleep]])
def test_what_cannot_be_awaited_raises_at_the_yield_that_gave_it(thing: Any) -> None:
    def story():
        try:
            yield thing
        except NotAwaitable as error:
            return type(thing).__name__ in str(error)

    assert driven(story()) is True


def test_a_generator_without_a_return_gives_none() -> None:
    def story():
        yield asyncio.sleep(0)

    assert driven(story()) is None


def test_a_stop_iteration_of_the_author_does_not_pass_for_a_return() -> None:
    def story():
        yield asyncio.sleep(0)
        raise StopIteration("not a result")

    with pytest.raises(RuntimeError, match="generator raised StopIteration"):
        driven(story())


# Closing.


def test_closing_goes_on_where_cleanup_awaits() -> None:
    seen = []

    async def code():
        try:
            await asyncio.sleep(0)
        finally:
            seen.append("first")
            try:
                await asyncio.sleep(0)
            finally:
                seen.append("second")
                raise ValueError("lost")

    coroutine = code()
    coroutine.send(None)
    close_fully(coroutine)

    assert seen == ["first", "second"]
    assert coroutine.cr_frame is None


@pytest.mark.parametrize("error", [ValueError, CancelledError, SystemExit, GeneratorExit, BaseException])
def test_what_cleanup_raises_is_lost(error: type[BaseException]) -> None:
    def code():
        try:
            yield
        finally:
            raise error

    generator = code()
    next(generator)
    close_fully(generator)

    assert generator.gi_frame is None


def test_a_keyboard_interrupt_gets_through_cleanup() -> None:
    def code():
        try:
            yield
        finally:
            raise KeyboardInterrupt

    generator = code()
    next(generator)
    with pytest.raises(KeyboardInterrupt):
        close_fully(generator)


def test_disposing_closes_every_task_oldest_first_and_starts_nothing() -> None:
    fixture, seen = LoopHost(), []

    async def child(name):
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            seen.append(name)
            asyncio.create_task(child(f"{name}'s own")).cancel()
            asyncio.get_running_loop().call_soon(seen.append, "never")

    async def main():
        try:
            await asyncio.gather(child("first"), child("second"))
        finally:
            seen.append("root")

    task = fixture.run(main)
    fixture.loop.dispose()
    fixture.loop.run_until_idle(STEPS)

    assert not task.done()
    assert seen == ["root", "first", "second"]
