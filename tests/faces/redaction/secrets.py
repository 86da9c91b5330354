"""Instances with a secret wherever a payload can be, and hooks of a project."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

from django_durable import Registry, RetryPolicy
from django_durable.engine.errors import ActivityError
from django_durable.redaction import Place
from django_durable.testing import Durable

SECRET = "sesame-4711"
HOUR = timedelta(hours=1)

registry = Registry()
changed = Registry()
"""The code after a deployment that does not fit."""


@registry.activity("safe.opens")
def opens(word: str) -> dict[str, str]:
    return {"opened with": word}


@registry.activity("safe.jams")
def jams(word: str) -> None:
    raise OSError(f"jammed by {word}")


@registry.activity("safe.is_stuck", retry=RetryPolicy(max_attempts=3, initial=HOUR, max_delay=HOUR))
def is_stuck(ctx, word: str) -> None:
    ctx.heartbeat({"tried": word})
    raise OSError(f"stuck at {word}")


@registry.orchestration("safe.is_open")
def is_open(ctx, word: str):
    ctx.set_custom_status({"text": f"opening with {word}"})
    ctx.set_kv_value("word", {"is": word})
    yield ctx.schedule_activity(opens, word)
    with contextlib.suppress(ActivityError):
        yield ctx.schedule_activity(jams, word)
    with contextlib.suppress(Exception):
        yield ctx.schedule_sub_orchestration_with_id(breaks, f"{ctx.instance_id}-child", word)
    ctx.start_orchestration(returns, f"{ctx.instance_id}-detached", word)
    yield ctx.wait_for_event("turned")
    yield ctx.dequeue_event("turns")
    yield ctx.race(ctx.wait_for_event("shut"), ctx.schedule_activity(is_stuck, word))


@registry.orchestration("safe.repeats")
def repeats(ctx, word: str, left: int = 1):
    ctx.set_custom_status({"text": word})
    ctx.set_kv_value("word", word)
    yield ctx.wait_for_event("go")
    if left:
        yield ctx.continue_as_new({"word": word, "left": left - 1})
    return word


@registry.orchestration("safe.returns")
def returns(ctx, word: str):
    return {"returned": word}
    yield


@registry.orchestration("safe.breaks")
def breaks(ctx, word: str):
    raise ValueError(f"broken by {word}")
    yield


@registry.orchestration("safe.changes")
def changes(ctx, word: str):
    yield ctx.schedule_activity(opens, word)
    yield ctx.wait_for_event("go")


@changed.activity("safe.opens")
def opens_otherwise(word: str) -> None: ...


@changed.orchestration("safe.changes")
def changes_otherwise(ctx, word: str):
    yield ctx.schedule_activity(opens_otherwise, f"other {word}")
    yield ctx.wait_for_event("go")


INSTANCES = (
    "open", "open-child", "open-detached", "repeated", "returned", "broken", "canceled", "terminated", "blocked",
)  # fmt: skip


def fill() -> None:
    """Make an instance of every kind, with the secret in all that it was given and said."""
    shop = Durable(registry)
    client = shop.client
    for instance_id, name in [
        ("open", "is_open"), ("repeated", "repeats"), ("returned", "returns"), ("broken", "breaks"),
        ("canceled", "changes"), ("terminated", "changes"), ("blocked", "changes"),
    ]:  # fmt: skip
        client.start_orchestration(instance_id, f"safe.{name}", {"word": SECRET})
    shop.run()
    client.raise_event("open", "turned", {"by": SECRET})
    for _ in range(2):
        client.enqueue_event("open", "turns", {"by": SECRET})
    client.raise_event("repeated", "kept", {"for later": SECRET})
    client.raise_event("repeated", "go")
    client.send_to_stream("open", "words", {"by": SECRET}, SECRET)
    client.close_stream("open", "ended", f"because of {SECRET}")
    client.cancel_instance("canceled", f"because of {SECRET}")
    client.terminate_instance("terminated", f"because of {SECRET}")
    shop.run()
    shop.close()
    deployed = Durable(changed)
    client.raise_event("blocked", "go")
    deployed.run()
    deployed.close()


def hide(place: Place, value: Any) -> Any:
    """Hide the secret, and nothing else."""
    match value:
        case str():
            return value.replace(SECRET, "[gone]")
        case dict():
            return {key: hide(place, each) for key, each in value.items()}
        case list():
            return [hide(place, each) for each in value]
    return value


def hide_everything(place: Place, value: Any) -> Any:
    return None


def fail(place: Place, value: Any) -> Any:
    raise KeyError(value)


def return_no_json(place: Place, value: Any) -> Any:
    return object()
