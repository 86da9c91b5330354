"""Random orchestrations with tasks: plain asyncio replayed, and the same code from checkpoints.

Both are told the same, in an order that chance has made; a third run, loaded before every turn, goes along. Their
histories must be the same.
"""

from __future__ import annotations

import json
import linecache
import random
from collections.abc import Callable
from typing import Any

from django_durable.engine import events
from django_durable.engine.events import Fact
from django_durable.engine.failures import Failure

from ..checkpoints import FUNCTIONS, CheckpointHost, durable
from ..support import Host

STEPS = 60
PRELUDE = """
import asyncio

async def helper(ctx, found, name, depth):
    try:
        found.append((name, await ctx.run(name)))
        if depth:
            found.append(await asyncio.gather(helper(ctx, found, name + "l", depth - 1), ctx.run(name + "r")))
        return name
    except asyncio.CancelledError:
        found.append((name, "canceled", await ctx.run(name + "undo")))
        raise
    except Exception as error:
        found.append((name, str(error)))
        if len(name) % 2:
            raise
        return "kept"
    finally:
        found.append((name, "left"))

async def puts(ctx, queue, name):
    for n in range(3):
        await queue.put(await ctx.run(f"{name}{n}"))

async def takes(ctx, queue, lock, found, name):
    for n in range(3):
        async with lock:
            found.append((name, await queue.get()))
            await ctx.run(name)
"""


class Orchestrations:
    """Writes one."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.numbers = 0

    def text(self) -> str:
        lines = ["async def program(ctx):", "    found, tasks = [], []"]
        for _ in range(self.chance.randint(2, 4)):
            block = self.chance.choice(self._blocks())()
            lines += ["    try:", *(f"        {line}" for line in block)]
            lines += ["    except BaseException as error: found.append((type(error).__name__, str(error)))"]
        lines.append("    found.append(await asyncio.gather(*tasks, return_exceptions=True))")
        lines.append("    return repr(found)")
        return f"{PRELUDE}\n" + "\n".join(lines) + "\n"

    def name(self) -> str:
        self.numbers += 1
        return f"a{self.numbers}"

    def call(self) -> str:
        return f'helper(ctx, found, "{self.name()}", {self.chance.choice((0, 0, 1))})'

    def thing(self) -> str:
        return self.chance.choice((self.call(), self.call(), f'ctx.run("{self.name()}")', "ctx.schedule_timer(3000)"))

    def things(self) -> str:
        return ", ".join(self.thing() for _ in range(self.chance.randint(2, 3)))

    def _blocks(self) -> list[Callable[[], list[str]]]:
        kept = self.chance.choice(("", ", return_exceptions=True"))
        return [
            lambda: [f"found.append(await asyncio.gather({self.things()}{kept}))"],
            lambda: [f"tasks.append(asyncio.create_task({self.call()}))", f"await {self.thing()}"],
            lambda: [
                f"task = asyncio.create_task({self.call()})",
                f"await {self.thing()}",
                "task.cancel()",
                "await task",
            ],
            lambda: ["async with asyncio.timeout(5):", f"    found.append(await {self.thing()})"],
            lambda: [
                "async with asyncio.timeout(5):",
                f"    found.append(await asyncio.gather({self.things()}{kept}))",
            ],
            lambda: [
                "async with asyncio.TaskGroup() as group:",
                f"    group.create_task({self.call()})",
                f"    group.create_task({self.call()})",
                f"    await {self.thing()}",
            ],
            self._waits,
            lambda: [
                f"shielded = asyncio.shield({self.call()})",
                "async with asyncio.timeout(2):",
                "    await shielded",
            ],
            lambda: [f"found.append(await ctx.all([{self.things()}]))"],
            lambda: [f"found.append(await ctx.race({self.things()}))"],
            self._queues,
            lambda: [f"await asyncio.gather(asyncio.sleep(3), {self.call()}, return_exceptions=True)"],
            lambda: ["async with asyncio.timeout(2):", f"    await asyncio.gather(asyncio.sleep(3), {self.things()})"],
            lambda: [
                f"task = asyncio.create_task(asyncio.sleep(4, {self.numbers}))",
                f"await {self.thing()}",
                "task.cancel()",
                "await task",
            ],
            self._groups,
            self._sets,
            lambda: [f"found.append([await each for each in (helper(ctx, found, '{self.name()}', 0),)])"],
        ]

    def _waits(self) -> list[str]:
        when = self.chance.choice(("FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED"))
        return [
            f"left = [asyncio.create_task({self.call()}) for _ in range({self.chance.randint(2, 3)})]",
            "while left:",
            f"    done, _ = await asyncio.wait(left, return_when=asyncio.{when})",
            "    left = [each for each in left if each not in done]",
            "    found.append([str(each.exception()) for each in done])",
            *(["    for each in left: each.cancel()"] if self.chance.random() < 0.4 else []),
        ]

    def _groups(self) -> list[str]:
        return [
            "async with asyncio.TaskGroup() as group:",
            *(f"    group.create_task({self.call()})" for _ in range(self.chance.randint(2, 6))),
            f"    await {self.thing()}",
            *(f"    group.create_task({self.call()})" for _ in range(self.chance.randint(0, 4))),
        ]

    def _sets(self) -> list[str]:
        """Write tasks that are waited for as a set, and canceled in its order."""
        names = ", ".join(f'"{self.name()}"' for _ in range(self.chance.randint(2, 7)))
        return [
            f"left = {{asyncio.create_task(helper(ctx, found, name, 0)) for name in ({names})}}",
            f"await {self.thing()}",
            f"for _ in range({self.chance.randint(1, 3)}):",
            "    if left:",
            "        done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)",
            "        found.append([str(each.exception()) for each in done])",
            "for each in left: each.cancel()",
            "tasks += left",
        ]

    def _queues(self) -> list[str]:
        one, two, size = self.name(), self.name(), self.chance.randint(0, 2)
        return [
            f"queue, lock = asyncio.Queue({size}), asyncio.Lock()",
            f'await asyncio.gather(puts(ctx, queue, "{one}"), takes(ctx, queue, lock, found, "{two}"))',
        ]


def compared(seed: int) -> tuple[list[Any], list[Any]]:
    """Run an orchestration replayed, and from checkpoints. Returns: both histories, without tracebacks."""
    text = Orchestrations(seed).text()
    replayed = Host(_module(text, f"replayed_{seed}")["program"])
    stored_module = _module(text, f"stored_{seed}")
    before = dict(FUNCTIONS)
    for name in ("helper", "puts", "takes"):
        stored_module[name] = durable(stored_module[name])
    stored = CheckpointHost(stored_module["program"])
    chance = random.Random(seed)
    for _ in range(STEPS):
        waiting = replayed.execution.waiting_for()
        if replayed.execution.finished or not waiting:
            break
        fact = _answer(chance, *chance.choice(waiting))
        replayed.turn(fact)
        stored.turn(fact)
    FUNCTIONS.clear()
    FUNCTIONS.update(before)
    return _shown(replayed), _shown(stored)


def _module(text: str, name: str) -> dict[str, Any]:
    file = f"<{name}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    module: dict[str, Any] = {"__name__": name}
    exec(compile(text, file, "exec"), module)  # noqa: S102 - the text is this module's own
    return module


def _answer(chance: random.Random, seq: int, what: str) -> Fact:
    if what.startswith("TimerCreated"):
        return events.TimerFired(timer_seq=seq)
    if chance.random() < 0.2:
        return events.ActivityFailed(scheduled_seq=seq, failure=Failure("ValueError", f"no {seq}"))
    return events.ActivityCompleted(scheduled_seq=seq, result=json.dumps(seq))


def _shown(host: Host) -> list[Any]:
    return [(each.seq, each.kind, str(getattr(each.fact, "failure", each.fact))) for each in host.history]
