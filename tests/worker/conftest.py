"""The registry that most tests of the worker begin with."""

from __future__ import annotations

import asyncio

import pytest

from django_durable.registry import Registry


@pytest.fixture
def registry() -> Registry:
    registry = Registry()

    @registry.activity("double")
    def double(number: int) -> int:
        return number * 2

    @registry.activity("double_async")
    async def double_async(number: int) -> int:
        await asyncio.sleep(0)
        return number * 2

    @registry.orchestration("chain")
    def chain(ctx, steps: int):
        number = 1
        for _ in range(steps):
            number = yield ctx.schedule_activity("double", number)
        return number

    @registry.orchestration("fan_out")
    async def fan_out(ctx, width: int):
        names = ("double", "double_async")
        doubled = await asyncio.gather(*[ctx.schedule_activity(names[each % 2], each) for each in range(width)])
        return sum(doubled)

    return registry
