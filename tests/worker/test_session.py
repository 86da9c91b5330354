"""Sessions: a worker with the life of a block, and what it runs."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, connections

from django_durable import (
    InstanceAlreadyExists,
    InvalidArgument,
    NondeterminismError,
    OrchestrationFailed,
    PromiseSettled,
    Provided,
    StreamWriter,
    WaitTimeout,
)
from django_durable.duron import Context, DurableFn, Session as DuronSession
from django_durable.duron.contrib.codecs import PydanticCodec
from django_durable.duron.contrib.storage import FileLogStorage, MemoryLogStorage
from django_durable.duron.effects import effect
from django_durable.duron.functions import durable, set_config
from django_durable.engine.errors import ForbiddenInOrchestration
from django_durable.engine.states import RuntimeStatus
from django_durable.registry import Registry
from django_durable.session import Session


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def run(durable_db):
    """Run a coroutine as a script does, whose thread for the ORM has no connection yet that somebody may have cut."""
    asyncio.run(sync_to_async(connections.close_all)())
    return asyncio.run


def shop(registry):
    @registry.activity("double")
    def double(n: int) -> int:
        return 2 * n

    @registry.orchestration("order")
    async def order(ctx, n: int) -> int:
        doubled = await ctx.run(double, n)
        return doubled + await ctx.wait_for_event("more", int)

    return order


def test_a_session_runs_what_it_starts_and_gives_its_result(registry, run):
    order = shop(registry)

    async def main():
        async with Session(registry) as session:
            task = await session.start(order, 20, instance_id="o")
            assert (task.instance_id, (await task.status()).finished) == ("o", False)
            await task.raise_event("more", 2)
            assert await task.result() == 42
            assert (await task.status()).runtime_status is RuntimeStatus.COMPLETED
            await task.verify()

    run(main())


def test_what_a_session_leaves_goes_on_in_the_next(registry, run):
    order = shop(registry)

    async def first():
        async with Session(registry) as session:
            await session.start(order, 20, instance_id="o")

    async def second():
        async with Session(registry) as session:
            task = await session.resume("o")
            await task.raise_event("more", 2)
            assert await (await session.start(order, 20, instance_id="o")).result() == 42
            assert await task.result() == 42

    run(first())
    run(second())


def test_a_start_that_fails_raises_where_its_task_is_awaited(registry, run):
    order = shop(registry)

    async def main():
        async with Session(registry, works=False) as session:
            await session.start(order, 20, instance_id="o")
            with pytest.raises(InstanceAlreadyExists):
                await session.start(order, 21, instance_id="o")
            task = session.start(order, 22)
            with pytest.raises(InvalidArgument, match="Await it first"):
                _ = task.instance_id
            with pytest.raises(WaitTimeout):
                await task.result(timeout=10)

    run(main())


def test_canceled_failed_and_blocked_are_told_apart_from_a_result(registry, run):
    order = shop(registry)
    unknown = []

    @registry.orchestration("fails")
    async def fails(ctx):
        raise ValueError("no stock")

    @registry.orchestration("blocked")
    async def blocked(ctx):
        await ctx.schedule_activity("nobody has it" if not unknown else "double")

    async def main():
        async with Session(registry) as session:
            canceled = session.start(order, 1)
            await canceled.cancel("enough")
            with pytest.raises(OrchestrationFailed, match="CancelledError"):
                await canceled.result()
            with pytest.raises(OrchestrationFailed, match="no stock"):
                await session.start(fails).result()
            with pytest.raises(OrchestrationFailed, match="is blocked, and"):
                await session.start(blocked).result()

    run(main())


def test_verify_names_the_first_difference_of_changed_code(registry, run):
    changed = []

    @registry.activity("charge")
    def charge(): ...

    @registry.activity("audit")
    def audit(): ...

    @registry.orchestration("pay")
    async def pay(ctx):
        if changed:
            await ctx.run(audit)
        await ctx.run(charge)

    async def main():
        async with Session(registry) as session:
            task = session.start(pay)
            await task.result()
            await task.verify()
            changed.append(True)
            with pytest.raises(NondeterminismError) as raised:
                await task.verify()
            assert (raised.value.seq, raised.value.differences[0].requested) == (2, "audit")
            found = await session.client.averify_instance(task.instance_id)
            assert found.differences == raised.value.differences

    run(main())


def test_simultaneous_completions_are_delivered_one_by_one_live_and_on_replay_alike(registry, run):
    """What Duron delivers together live, and one by one on replay: counters, `asyncio.wait`, exception groups."""

    @durable(registry=registry, name="waits")
    async def waits(ctx: Context) -> list:
        done, seen = 0, []

        async def one(n: int) -> int:
            nonlocal done
            value = await ctx.run(number, n)
            done += 1
            return value

        tasks = [asyncio.create_task(one(n)) for n in range(4)]
        first, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        seen.append([done, len(first), len(rest)])
        # One more call for each that is finished: a history in which their number differs cannot be replayed.
        seen.append(await asyncio.gather(*(ctx.run(number, task.result() + 10) for task in first)))
        await asyncio.wait(tasks)
        try:
            async with asyncio.TaskGroup() as group:
                for n in range(4):
                    group.create_task(fails(n))
        except ExceptionGroup as errors:
            seen.append(len(errors.exceptions))
        return seen

    @effect
    async def number(n: int) -> int:
        return n

    @effect
    async def refuse(n: int) -> int:
        raise ValueError(n)

    async def fails(n: int) -> None:
        await asyncio.sleep(0)
        raise ValueError(n)

    async def main():
        async with Session(registry) as session:
            for _ in range(5):
                task = session.start(waits.orchestration)
                found = await task.result()
                assert found[0] == [1, 1, 3]
                await task.verify()

    run(main())


def test_durons_session_runs_a_durable_function_once_for_a_log(registry, run, tmp_path, monkeypatch):
    ran = []

    @effect
    def note(text: str) -> str:
        ran.append(text)
        return text.upper()

    @durable(registry=registry, codec=PydanticCodec())
    async def shout(ctx: Context, text: str) -> str:
        """Shout."""
        return await ctx.run(note, text) + "!"

    monkeypatch.setattr("django_durable.session.default", registry)
    log = FileLogStorage(tmp_path / "log.jsonl")

    async def main():
        async with DuronSession(log) as session:
            assert await session.start(shout, "hey").result() == "HEY!"
            with pytest.raises(InstanceAlreadyExists):
                await session.start(shout, "other")
        async with DuronSession(log, readonly=True) as session:
            assert await session.resume(shout).result() == "HEY!"
            await session.verify(shout)
        async with shout.invoke(MemoryLogStorage()) as job:
            with pytest.raises(InvalidArgument, match="not started"):
                await job.wait()
            await job.start("you")
            assert await job.wait() == "YOU!"

    run(main())
    assert ran == ["hey", "you"]
    assert shout.__doc__ == "Shout."


def test_a_durable_function_runs_inside_another_with_its_streams(registry, run, monkeypatch):
    monkeypatch.setattr("django_durable.session.default", registry)

    @durable(registry=registry)
    async def inner(ctx: Context, times: int, words: StreamWriter[str] = Provided) -> int:
        for number in range(times):
            await words.send(f"word {number}")
        return await ctx.run(lambda: times * 10)

    @durable(registry=registry)
    async def outer(ctx: Context) -> list:
        return await asyncio.gather(inner(ctx, 2), inner(ctx, times=1), inner.fn(ctx, 0))

    async def main():
        async with DuronSession(MemoryLogStorage()) as session:
            task = session.start(outer)
            assert await task.result() == [20, 10, 0]
            page = await session.core.client.aread_stream(task.instance_id, "words")
            assert [item.value for item in page.items] == ["word 0", "word 1", "word 0"]
            await session.verify(outer)

    run(main())
    with pytest.raises(InvalidArgument, match="expected the context of the durable function that calls it"):
        inner("not a context", 1)


def test_an_effect_called_by_a_durable_function_says_how_it_is_run(registry, durable_db, run):
    @effect
    async def fetch() -> int:
        return 1

    @effect()
    def count() -> int:
        return 2

    assert (asyncio.run(fetch()), count()) == (1, 2)

    @durable(registry=registry, name="calls")
    async def calls(ctx: Context) -> list:
        said = []
        for each in (fetch, count):
            try:
                made = each()
                await made
            except ForbiddenInOrchestration as error:
                said.append(str(error).partition(",")[0])
        return said

    async def main():
        async with Session(registry) as session:
            return await session.start(calls.orchestration).result()

    assert run(main()) == ["Calling effect 'fetch' directly", "Calling effect 'count' directly"]


def test_what_a_durable_function_cannot_be_is_refused_where_it_is_decorated(registry):
    def plain(ctx): ...

    async def fine(ctx): ...

    with pytest.raises(InvalidArgument, match="is no async def"):
        durable(plain, registry=registry)
    with pytest.raises(InvalidArgument, match="expected the name of one in DJANGO_DURABLE"):
        durable(fine, registry=registry, codec=object())
    set_config(codec="sealed")
    try:
        assert durable(fine, registry=registry).orchestration.codec_name == "sealed"
    finally:
        set_config()
    assert isinstance(durable(fine, registry=registry), DurableFn)


def test_promises_are_settled_by_durons_names_from_outside_and_inside(registry, run, monkeypatch):
    monkeypatch.setattr("django_durable.session.default", registry)

    @durable(registry=registry, name="asks")
    async def asks(ctx: Context) -> list:
        inside, inner = await ctx.create_future(int)
        await ctx.complete_future(inside, result=1)
        outside, outer = await ctx.create_future(int, name="approval")
        failing, failed = await ctx.create_future()
        ctx.set_kv_value("ids", [outside, failing])
        found = [await inner, await outer]
        try:
            await failed
        except Exception as error:
            found.append(str(error))
        return found

    async def main():
        async with DuronSession(MemoryLogStorage()) as session:
            task = session.start(asks)
            await task
            outside, failing = await session.core.client.await_for_kv_value(task.instance_id, "ids")
            assert await task.is_future_pending(outside)
            await task.complete_future(outside, result=2)
            assert not await task.is_future_pending(outside)
            assert not await task.is_future_pending("no-such")
            with pytest.raises(PromiseSettled):
                await task.complete_future(outside, result=3)
            await task.complete_future(failing, exception=ValueError("refused"))
            return await task.result()

    inner, outer, failed = run(main())
    assert (inner, outer) == (1, 2)
    assert "refused" in failed


@pytest.mark.only_on("postgresql")
def test_a_script_goes_on_after_its_connections_were_cut(registry, run):
    order = shop(registry)

    async def main():
        async with Session(registry) as session:
            task = await session.start(order, 20, instance_id="o")
            await sync_to_async(cut)()
            with pytest.raises(OperationalError):
                await task.status()
            assert not (await task.status()).finished

    run(main())


def cut():
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [own] = cursor.fetchone()
    with connections["default"].copy().cursor() as other:
        other.execute("SELECT pg_terminate_backend(%s)", [own])
        other.db.close()
