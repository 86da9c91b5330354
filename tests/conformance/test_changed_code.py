"""Every way in which a deploy can change the steps of open instances: detected, told, and undone without a loss."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

Program = list[tuple[Any, ...]]

PROGRAM: Program = [
    ("call", "one"),
    ("both", "left", "right"),
    ("sleep", 60),
    ("call", "two"),
    ("child", "c"),
    ("event", "go"),
    ("call", "three"),
]


def without(place: int) -> Program:
    return [*PROGRAM[:place], *PROGRAM[place + 1 :]]


def inserted(place: int, *step: Any) -> Program:
    return [*PROGRAM[:place], step, *PROGRAM[place:]]


def replaced(place: int, *step: Any) -> Program:
    return [*PROGRAM[:place], step, *PROGRAM[place + 1 :]]


def swapped(place: int) -> Program:
    return [*PROGRAM[:place], PROGRAM[place + 1], PROGRAM[place], *PROGRAM[place + 2 :]]


CHANGES: dict[str, tuple[Program, str, str]] = {
    "first step removed": (without(0), "ActivityScheduled echo", "ActivityScheduled echo"),
    "timer removed": (without(2), "TimerCreated", "ActivityScheduled echo"),
    "child removed": (without(4), "SubOrchestrationScheduled", "ExternalSubscribed go"),
    "wait and what follows removed": (PROGRAM[:5], "ExternalSubscribed go", "OrchestrationCompleted"),
    "wait removed": (without(5), "ExternalSubscribed go", "ActivityScheduled echo"),
    "step inserted at the beginning": (inserted(0, "call", "audit"), "ActivityScheduled", "ActivityScheduled"),
    "step inserted in the middle": (inserted(3, "call", "audit"), "ActivityScheduled", "ActivityScheduled"),
    "step inserted before the wait": (inserted(5, "call", "audit"), "ExternalSubscribed go", "ActivityScheduled"),
    "timer inserted": (inserted(1, "sleep", 60), "ActivityScheduled", "TimerCreated"),
    "steps swapped": (swapped(2), "TimerCreated", "ActivityScheduled"),
    "parallel steps reordered": (
        replaced(1, "both", "right", "left"),
        "ActivityScheduled",
        "ActivityScheduled",
    ),
    "timer longer": (replaced(2, "sleep", 61), "TimerCreated", "TimerCreated"),
    "timer shorter": (replaced(2, "sleep", 59), "TimerCreated", "TimerCreated"),
    "activity in place of the timer": (replaced(2, "call", "slept"), "TimerCreated", "ActivityScheduled"),
    "input changed": (replaced(3, "call", "zwei"), "ActivityScheduled", "ActivityScheduled"),
    "event renamed": (replaced(5, "event", "gone"), "ExternalSubscribed go", "ExternalSubscribed gone"),
    "error raised": (inserted(3, "fail"), "ActivityScheduled", "OrchestrationFailed"),
}


def begin(ctx, kind: str, arguments: tuple[Any, ...]) -> Any:
    """Do a step. Returns: what to wait for."""
    match kind, *arguments:
        case "call", label:
            return ctx.schedule_activity("echo", label)
        case "both", *labels:
            return ctx.all([ctx.schedule_activity("echo", label) for label in labels])
        case "sleep", seconds:
            return ctx.schedule_timer(timedelta(seconds=seconds))
        case "child", label:
            return ctx.schedule_sub_orchestration("child", label)
        case "event", name:
            return ctx.wait_for_event(name)
    raise ValueError("new and broken")


@pytest.fixture
def deployed(registry) -> dict[str, Program]:
    """The code that is deployed: `deployed["program"]` may be changed."""
    code = {"program": PROGRAM}
    ran = registry.ran = Counter()

    @registry.activity("echo")
    def echo(label: str) -> str:
        ran[label] += 1
        return label

    @registry.orchestration("child")
    def child(ctx, label: str):
        return (yield ctx.schedule_activity("echo", label))

    @registry.orchestration("generator")
    def generator(ctx):
        for kind, *arguments in code["program"]:
            yield begin(ctx, kind, tuple(arguments))
        return "done"

    @registry.orchestration("async")
    async def coroutine(ctx):
        for kind, *arguments in code["program"]:
            await begin(ctx, kind, tuple(arguments))
        return "done"

    return code


@pytest.mark.parametrize("style", ["generator", "async"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_step_is_detected_and_after_the_fix_everything_goes_on_where_it_was(
    change, style, deployed, registry, durable
):
    program, recorded, requested = CHANGES[change]
    durable.client.start_orchestration("it", style)
    durable.run()
    durable.advance(timedelta(seconds=61))
    history = durable.client.read_execution_history("it")
    assert history[-1].kind == "ExternalSubscribed"
    assert durable.client.verify_instance("it") is None

    deployed["program"] = program
    durable.restart()
    mismatch = durable.client.verify_instance("it")
    assert mismatch is not None, "the gate lets it pass"
    durable.client.raise_event("it", "go")
    durable.run()
    status = durable.client.get_status("it")
    assert status.runtime_status == "Blocked"
    assert status.blocked_reason.error_type.endswith("NondeterminismError")
    assert f"event {mismatch.seq}" in status.blocked_reason.message
    said = status.blocked_reason.message.partition(": recorded ")[2]
    assert said.startswith(recorded)
    assert requested in said.partition("requests ")[2]
    assert durable.client.read_execution_history("it") == history

    deployed["program"] = PROGRAM
    durable.client.resume_instance("it")
    durable.run()
    assert durable.client.get_output("it") == "done"
    assert durable.client.read_execution_history("it")[: len(history)] == history
    assert registry.ran == dict.fromkeys(["one", "left", "right", "two", "c", "three"], 1)


@pytest.mark.parametrize("style", ["generator", "async"])
def test_steps_that_nobody_has_come_to_may_be_changed(style, deployed, registry, durable):
    durable.client.start_orchestration("it", style)
    durable.run()
    deployed["program"] = [*PROGRAM[:3], ("event", "go"), ("call", "instead")]
    durable.restart()
    assert durable.client.verify_instance("it") is None
    durable.client.raise_event("it", "go")
    durable.advance(timedelta(seconds=61))
    assert durable.client.get_output("it") == "done"
    assert registry.ran == dict.fromkeys(["one", "left", "right", "instead"], 1)
