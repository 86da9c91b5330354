"""An orchestration that does what it is told, message by message, and a model of what that comes to.

The messages are the program: `["note", "x"]` runs an activity, `["again"]` continues as new, `["return"]` returns what
was done so far. What a life has come to once everything has come to rest follows from the messages that it was sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django_durable import RetryPolicy
from django_durable.registry import Registry

STYLES = ("generator", "async")
SLEEP = timedelta(minutes=5)

Message = list[Any]


class FlakyError(Exception):
    """What an activity raises in its first attempt."""


class ToldToFailError(Exception):
    """What the orchestration raises when it is told to."""


@dataclass
class Model:
    """What one instance was sent, and so what it comes to.

    Attributes:
        loose: What was done depends on how far it had come: it was canceled or retried meanwhile.
    """

    style: str
    input: Any = None
    sent: list[Message] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    loose: bool = False

    def outcome(self) -> Outcome:
        """Return what it has come to when everything is at rest."""
        made = Outcome()
        left, events = deque(self.sent), deque(self.events)
        while left and made.status == "Running":
            match left.popleft():
                case ["note" | "write" | "child" | "flaky" as verb, label]:
                    made.done.append(label)
                    if verb == "write":
                        made.rows.add(label)
                case ["many", label]:
                    made.done += [f"{label}.{number}" for number in range(3)]
                case ["kv", value]:
                    made.kv["last"] = value
                case ["status", value]:
                    made.custom_status = value
                case ["sleep"]:
                    made.done.append("slept")
                case ["event"] if not events:  # It waits.
                    break
                case ["event"]:
                    made.done.append(events.popleft())
                case ["return"]:
                    made.status = "Completed"
                case ["fail"]:
                    made.status = "Failed"
        made.left = [] if made.status != "Running" else list(left)
        return made


@dataclass
class Outcome:
    """What an instance shows, and the rows that its atomic activities wrote."""

    status: str = "Running"
    done: list[str] = field(default_factory=list)
    kv: dict[str, Any] = field(default_factory=dict)
    custom_status: Any = None
    rows: set[str] = field(default_factory=set)
    left: list[Message] = field(default_factory=list)


def register(registry: Registry, note_call: Any) -> None:
    """Register the script in both styles, and its activities. `note_call(ctx)` is told of every call of one."""
    from django.contrib.auth.models import Group

    @registry.activity("note")
    def note(ctx, label: str) -> str:
        note_call(ctx)
        return label

    @registry.activity("write", atomic=True)
    def write(ctx, label: str) -> str:
        note_call(ctx)
        Group.objects.create(name=f"{label} {Group.objects.filter(name__startswith=f'{label} ').count()}")
        return label

    @registry.activity("flaky", retry=RetryPolicy(max_attempts=3, initial=timedelta(seconds=5)))
    def flaky(ctx, label: str) -> str:
        note_call(ctx)
        if ctx.attempt == 1:
            raise FlakyError(label)
        return label

    @registry.orchestration("child")
    def child(ctx, label: str):
        return (yield ctx.schedule_activity("note", label))

    @registry.orchestration("script.generator")
    def generator(ctx, input=None, done: list[str] | None = None):
        done = done or []
        while True:
            match (yield ctx.dequeue_event("box")):
                case ["return"]:
                    return done
                case ["again"]:
                    return ctx.continue_as_new(input, done)
                case ["event"]:
                    done.append((yield ctx.wait_for_event("go")))
                case ["many", label]:
                    many = yield ctx.all([ctx.schedule_activity("note", f"{label}.{each}") for each in range(3)])
                    done += [each["ok"] for each in many]
                case message:
                    future = begin(ctx, message)
                    if future is not None:
                        done.append((yield future) or "slept")

    @registry.orchestration("script.async")
    async def coroutine(ctx, input=None, done: list[str] | None = None):
        done = done or []
        while True:
            match await ctx.dequeue_event("box"):
                case ["return"]:
                    return done
                case ["again"]:
                    return ctx.continue_as_new(input, done)
                case ["event"]:
                    done.append(await ctx.wait_for_event("go"))
                case ["many", label]:
                    done += await asyncio.gather(*(ctx.schedule_activity("note", f"{label}.{n}") for n in range(3)))
                case message:
                    future = begin(ctx, message)
                    if future is not None:
                        done.append(await future or "slept")


def begin(ctx: Any, message: Message) -> Any:
    """Do what a message says. Returns: what to wait for, or None."""
    match message:
        case ["note" | "write" | "flaky" as activity, label]:
            return ctx.schedule_activity(activity, label)
        case ["child", label]:
            return ctx.schedule_sub_orchestration("child", label)
        case ["sleep"]:
            return ctx.schedule_timer(SLEEP)
        case ["kv", value]:
            ctx.set_kv_value("last", value)
        case ["status", value]:
            ctx.set_custom_status(value)
        case ["fail"]:
            raise ToldToFailError
    return None
