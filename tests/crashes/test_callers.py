"""`kill -9` of whoever calls the client, at every boundary of every call that writes: it was made, or it was not.

It is every third one, unless `DURABLE_CRASHES=all` (`make crashes`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Any

import pytest
from django.db import transaction

from django_durable.client import Client
from django_durable.engine.states import TERMINAL
from django_durable.testing import Durable
from django_durable.testing.clock import StandingClock
from django_durable.testing.crashing import traces

from .killing import killed_at
from .stories import MINUTE, registry

START = datetime(2030, 1, 1, tzinfo=UTC)
USING = "default"
STEP = 1 if os.environ.get("DURABLE_CRASHES") == "all" else 3


@registry.orchestration("busy")
def busy(ctx):
    """Have something of everything, and wait."""
    ctx.set_kv_value("key", "value")
    ctx.set_custom_status("busy")
    child = ctx.schedule_sub_orchestration_with_id("waits", "child")
    asked = ctx.request("Well?", bool)
    ctx.create_stream(str, "words")
    got = ctx.dequeue_event("box")
    yield ctx.race(child, asked, got, ctx.wait_for_event("go"), ctx.schedule_timer(60 * MINUTE))


@registry.orchestration("fails below")
def fails_below(ctx):
    yield ctx.schedule_activity("write", "above")
    return (yield ctx.schedule_sub_orchestration("retry-instance.generator"))


def prepare(client: Client, durable: Durable) -> None:
    """An instance in the middle of things, one that failed with its child, one with three executions, one held."""
    for key, name in (("busy", "busy"), ("failed", "fails below"), ("done", "continue-as-new.generator")):
        client.start_orchestration(key, name)
    client.raise_event("done", "early", 1)
    client.start_orchestration("held", "queue.generator")
    durable.run()
    client.suspend_instance("held")


def ordered(client: Client) -> None:
    from django.contrib.auth.models import Group

    with transaction.atomic():
        Group.objects.create(name="order")
        with transaction.atomic():
            client.start_orchestration("new", "chain.generator")
        client.raise_event("busy", "go", "with the order")
        client.cancel_instance("held")


def asked(client: Client) -> str:
    return client.list_requests()[0].promise_id


CALLS: dict[str, Callable[[Client], Any]] = {
    "start": lambda client: client.start_orchestration("new", "chain.generator"),
    "in a transaction of the caller": ordered,
    "raise_event": lambda client: client.raise_event("busy", "go", 1),
    "enqueue_event": lambda client: client.enqueue_event("busy", "box", 1),
    "cancel": lambda client: client.cancel_instance("busy"),
    "terminate": lambda client: client.terminate_instance("busy"),
    "suspend": lambda client: client.suspend_instance("busy"),
    "resume": lambda client: client.resume_instance("held"),
    "retry": lambda client: client.retry_instance("failed"),
    "retry from an event": lambda client: client.retry_instance("failed", from_event=1),
    "fork of one that failed": lambda client: client.fork_instance("failed", "copy"),
    "fork of one that runs": lambda client: client.fork_instance("busy", "copy", from_event=history_length(client) + 1),
    "fork of an earlier execution": lambda client: client.fork_instance("done", "copy", execution=2, from_event=1),
    "complete_promise": lambda client: client.complete_promise("busy", asked(client), True),
    "fail_promise": lambda client: client.fail_promise("busy", asked(client), "nobody knows"),
    "send_to_stream": lambda client: client.send_to_stream("busy", "words", "one", "two"),
    "close_stream": lambda client: client.close_stream("busy", "words"),
    "delete": lambda client: client.delete_instance("busy", force=True),
    "delete in bulk": lambda client: client.delete_instance_bulk(),
    "prune": lambda client: client.prune_executions("done"),
}


def history_length(client: Client) -> int:
    return len(client.read_execution_history("busy"))


def state() -> dict[str, Any]:
    """Return what there is: what every instance has come to, and how many rows each table has."""
    from django.apps import apps

    tables = [*apps.get_app_config("django_durable").get_models(), *apps.get_app_config("auth").get_models()]
    promises = apps.get_model("django_durable", "Promise").objects.values_list("outcome", flat=True)
    rows = {each.__name__: each.objects.count() for each in tables}
    return {**traces.outcome_of(USING), **rows, "promises": sorted(map(str, promises))}


def settled(client: Client, durable: Durable) -> None:
    """Let what is held go on, and a worker do what there is to do: nothing is wedged or left over."""
    for each in client.list_instances_by_status("Suspended"):
        client.resume_instance(each)
    durable.run()
    durable.advance(61 * MINUTE)
    traces.check_whole(client)
    waiting = {each for each in client.list_all_instances() if client.get_status(each).runtime_status not in TERMINAL}
    assert waiting <= {"held"}, "only that waits for a message"
    durable.close()


@pytest.mark.parametrize("name", CALLS)
def test_a_caller_killed_at_any_boundary_made_its_call_or_did_not(name, groups, record_property):
    rows = traces.Rows(USING)

    def fresh() -> tuple[Client, Durable]:
        rows.restore()
        durable = Durable(registry, clock=StandingClock(START))
        prepare(durable.client, durable)
        return durable.client, durable

    client, durable = fresh()
    before = state()
    CALLS[name](client)
    after = state()
    assert after != before
    client, durable = fresh()
    seen = []
    for boundary in count(1, STEP):
        if not killed_at(boundary, partial(CALLS[name], client)):
            break
        found = state()
        assert found in (before, after), f"{name}, killed at boundary {boundary}"
        seen.append(found == after)
        if seen[-1]:
            settled(client, durable)
            client, durable = fresh()
    assert state() == after
    settled(client, durable)
    rows.restore()
    assert seen == sorted(seen), "made, and then not made"
    assert False in seen
    assert True in seen or STEP > 1
    record_property("kills", len(seen))
