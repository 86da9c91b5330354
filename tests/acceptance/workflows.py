"""What the worker processes run. Activities take a label, under which their runs are counted, and maybe a gate."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import time
from typing import NamedTuple

from django_durable import ActivityError, activity, orchestration
from django_durable.durable import pause
from django_durable.tracing import span

from . import clocks, streaming as streaming
from .stage import DEADLINE, Stage

clocks.set_by_environment()

SESSION = "acceptance-session"


class Caller(NamedTuple):
    """What `Stage.note` asks of who calls it."""

    instance_id: str
    attempt: int = 1
    worker_id: str = "-"


@activity("acceptance.step")
def step(ctx, label: str, gate: str | None = None) -> str:
    Stage.here().note(ctx, label)
    if gate is not None:
        Stage.here().wait_at(gate)
    return label


@activity("acceptance.step_async")
async def step_async(ctx, label: str, gate: str | None = None) -> str:
    Stage.here().note(ctx, label)
    if gate is not None:
        await asyncio.to_thread(Stage.here().wait_at, gate)
    return label


@activity("acceptance.record", atomic=True)
def record(ctx, label: str, gate: str | None = None) -> str:
    from .models import Effect

    Effect.objects.create(instance=ctx.instance_id, label=label, worker=ctx.worker_id)
    Stage.here().note(ctx, label)
    if gate is not None:
        Stage.here().wait_at(gate)
    return label


@activity("acceptance.apart")
def apart(ctx) -> str:
    """Wait at a gate that is this worker's own; return who ran it."""
    Stage.here().note(ctx, "apart")
    Stage.here().wait_at(ctx.worker_id)
    return str(ctx.worker_id)


@activity("acceptance.apart_atomic", atomic=True)
def apart_atomic(ctx) -> str:
    """As `apart`, after a write."""
    from .models import Effect

    Effect.objects.create(instance=ctx.instance_id, label="apart", worker=ctx.worker_id)
    return str(apart(ctx))


@activity("acceptance.where")
def where(ctx, label: str, gate: str | None = None) -> str:
    """As `step`; returns the worker that ran it."""
    step(ctx, label, gate)
    return str(ctx.worker_id)


@activity("acceptance.needs_gate")
def needs_gate(ctx, label: str) -> str:
    """Fails until the test has opened the gate that is called like the label."""
    Stage.here().note(ctx, label)
    if not Stage.here().is_open(label):
        raise ConnectionError(f"{label} is not open")
    return label


@orchestration("acceptance.fails_at_first")
def fails_at_first(ctx):
    before = yield ctx.schedule_activity(step, "before")
    outside = yield ctx.schedule_activity(needs_gate, "outside")
    after = yield ctx.schedule_activity(step, "after", "gate")
    return [before, outside, after]


@orchestration("acceptance.fails_below")
def fails_below(ctx):
    return (yield ctx.schedule_sub_orchestration(fails_at_first))


@orchestration("acceptance.chain")
def chain(ctx, steps: int, gate_at: int | None = None):
    done = []
    for number in range(steps):
        done.append((yield ctx.schedule_activity(step, f"s{number}", "gate" if number == gate_at else None)))
    return done


@orchestration("acceptance.chain_async")
async def chain_async(ctx, steps: int, gate_at: int | None = None):
    done = []
    for number in range(steps):
        gate = "gate" if number == gate_at else None
        done.append(await ctx.run(step_async, f"s{number}", gate))
    return done


chain_stored = orchestration("acceptance.chain_stored", mode="checkpoint")(chain_async.function)


@orchestration("acceptance.pauses", mode="checkpoint")
async def pauses(ctx, label: str):
    """Tell in which processes its code began and ended; a line that has run does not run again."""
    began, kept = os.getpid(), [await ctx.run(step, label)]  # durable: ignore
    seen = {"kept": kept, "allowed": await pause("allow", type=dict[str, int])}
    kept.append("after")
    return {"began": began, "ended": os.getpid(), **seen}  # durable: ignore


@orchestration("acceptance.local")
async def local(ctx, steps: int, gate_at: int | None = None):
    """As `chain`, of local steps: closures that no registry has."""
    caller = Caller(ctx.instance_id)

    def at(gate: str | None):
        def run(label: str) -> str:
            Stage.here().note(caller, label)
            if gate is not None:
                Stage.here().wait_at(gate)
            return label

        return run

    return [await ctx.run(at("gate" if number == gate_at else None), f"s{number}") for number in range(steps)]


@orchestration("acceptance.traced")
def traced(ctx, steps: int, gate_at: int):
    """As `chain`, with a span around all of it and one around each step."""
    with span("all") as whole:
        for number in range(steps):
            with span(f"step {number}"):
                yield ctx.schedule_activity(step, f"s{number}", "gate" if number == gate_at else None)
            whole.add_event("done", number=number)


@orchestration("acceptance.fan_out")
def fan_out(ctx, width: int, gated: int):
    """The last `gated` of `width` activities wait at the gate."""
    tasks = [
        ctx.schedule_activity(step, f"s{number}", "gate" if number >= width - gated else None)
        for number in range(width)
    ]
    results = yield ctx.all(tasks)
    return [each["ok"] for each in results]


@orchestration("acceptance.timer")
def timer(ctx, milliseconds: int):
    yield ctx.schedule_activity(step, "before")
    started = yield ctx.utc_now()
    yield ctx.schedule_timer(milliseconds)
    ended = yield ctx.utc_now()
    yield ctx.schedule_activity(step, "after")
    return ended - started


@orchestration("acceptance.session")
def session(ctx, steps: int, gate_at: int):
    """Return which worker ran each step."""
    workers = []
    for number in range(steps):
        gate = "gate" if number == gate_at else None
        task = ctx.schedule_activity_on_session("acceptance.where", {"label": f"s{number}", "gate": gate}, SESSION)
        workers.append((yield task))
    return workers


@orchestration("acceptance.atomic")
def atomic(ctx, steps: int, gate_at: int | None = None):
    done = []
    for number in range(steps):
        done.append((yield ctx.schedule_activity(record, f"s{number}", "gate" if number == gate_at else None)))
    return done


@orchestration("acceptance.generations")
def generations(ctx, left: int, gate_at: int):
    """One activity per generation, and a sum that is kept in KV."""
    label = f"g{ctx.execution_id}"
    yield ctx.schedule_activity(step, label, "gate" if ctx.execution_id == gate_at else None)
    message = yield ctx.dequeue_event("numbers")
    ctx.set_kv_value("sum", (ctx.get_kv_value("sum") or 0) + message)
    if left:
        ctx.continue_as_new({"left": left - 1, "gate_at": gate_at})
        return None
    return ctx.get_kv_value("sum")


@orchestration("acceptance.family")
def family(ctx, children: int, depth: int, gated: bool = True):
    """Children with children; the activities of the youngest wait at the gate, if any do."""
    yield ctx.schedule_activity(step, "parent", "gate" if gated and not depth else None)
    if not depth:
        return 1
    below = {"children": children, "depth": depth - 1, "gated": gated}
    results = yield ctx.all([ctx.schedule_sub_orchestration(family, **below) for _ in range(children)])
    return 1 + sum(each["ok"] for each in results)


@orchestration("acceptance.mixture")
async def mixture(ctx, number: int):
    """A little of everything, for worker processes that are killed at any moment."""
    first = await ctx.run(record, "first")
    many = await asyncio.gather(*(ctx.run(step, f"many{each}") for each in range(3)), ctx.run(step_async, "async"))
    await asyncio.sleep(0.05)
    child = await ctx.schedule_sub_orchestration(chain, 1)
    ctx.set_custom_status("nearly")
    last = await ctx.run(record, "last")
    return [number, first, *many, *child, last]


CRASHES = {
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda: os._exit(3),
    "segmentation fault": lambda: ctypes.string_at(0),
}


@activity("acceptance.crash")
def crash(ctx, how: str) -> None:
    Stage.here().note(ctx, "crash")
    CRASHES[how]()


@orchestration("acceptance.crashes")
def crashes(ctx, how: str):
    try:
        yield ctx.schedule_activity(crash, how)
    except ActivityError as error:
        return [error.error_type, (yield ctx.schedule_activity(step, "recovered"))]


@orchestration("acceptance.slow_turn")
def slow_turn(ctx):
    """What no orchestration should do: hold up its turn, here at a gate named after the process."""
    Stage.here().wait_at(str(os.getpid()))  # durable: ignore
    ctx.set_custom_status("committed")
    return (yield ctx.schedule_activity(record, "record"))


@orchestration("acceptance.spins")
def spins(ctx, how: str):
    """What no orchestration may do: never come back, unless it was corrected meanwhile."""
    directory = Stage.here().directory
    corrected = directory / "corrected.open"
    (directory / "spins.reached").touch()  # durable: ignore
    while True:
        try:
            while not corrected.exists():
                if how == "blocking call":
                    time.sleep(DEADLINE)  # durable: ignore
            break
        except BaseException:
            if how != "catches everything":
                raise
    return (yield ctx.schedule_activity(step, "came back"))


@orchestration("acceptance.runs_apart")
def runs_apart(ctx, atomic: bool):
    return (yield ctx.schedule_activity(apart_atomic if atomic else apart))


@orchestration("acceptance.step_and_record")
def step_and_record(ctx):
    """What a stalled worker must neither complete nor go on with."""
    return [(yield ctx.schedule_activity(step, "step", "gate")), (yield ctx.schedule_activity(record, "record"))]


@orchestration("acceptance.sleeps")
def sleeps(ctx, milliseconds: int):
    yield ctx.schedule_timer(milliseconds)
    return "slept"
