"""Activities of the conformance suite. `RUNS` counts executions, so a test can show what ran again."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from django_durable import RetryPolicy
from django_durable.registry import Registry

registry = Registry()
RUNS: Counter[str] = Counter()


@registry.activity("double")
def double(number: int) -> int:
    RUNS["double"] += 1
    return number * 2


@registry.activity("add")
def add(left: int, right: int = 10) -> int:
    RUNS["add"] += 1
    return left + right


@registry.activity("echo")
def echo(value=None):
    RUNS["echo"] += 1
    return value


@registry.activity("add_async")
async def add_async(left: int, right: int) -> int:
    RUNS["add_async"] += 1
    return left + right


@registry.activity("refuse")
def refuse(reason: str) -> None:
    RUNS["refuse"] += 1
    raise ValueError(reason)


@registry.activity("flaky", retry=RetryPolicy(max_attempts=3, backoff="none"))
def flaky(ctx, failures: int) -> int:
    RUNS["flaky"] += 1
    if ctx.attempt <= failures:
        raise ConnectionError(f"attempt {ctx.attempt}")
    return ctx.attempt


@registry.activity("always_flaky")
def always_flaky(ctx, failures: int) -> int:
    """As `flaky`, without a policy of its own."""
    RUNS["always_flaky"] += 1
    if ctx.attempt <= failures:
        raise ConnectionError(f"attempt {ctx.attempt}")
    return ctx.attempt


@registry.activity("who")
def who(ctx) -> dict:
    RUNS["who"] += 1
    return {
        "instance_id": ctx.instance_id,
        "execution": ctx.execution_id,
        "orchestration": ctx.orchestration_name,
        "activity": ctx.activity_name,
        "attempt": ctx.attempt,
        "session": ctx.session_id,
        "tag": ctx.tag,
    }


LONG = timedelta(days=2)
