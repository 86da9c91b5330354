"""Instances that cannot go on, and the others beside them."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from django_durable import NondeterminismError
from django_durable.models import InboxMessage, Instance
from django_durable.registry import Registry
from django_durable.store import instances, turns
from django_durable.store.records import TurnCommit, TurnOutcome

from .support import USING, blocked_reason, drained, output, start

pytestmark = pytest.mark.django_db


# Instances that cannot go on.


def test_an_instance_whose_code_is_missing_is_blocked_alone(registry: Registry) -> None:
    @registry.orchestration("gone")
    def gone(ctx, value: Any = None):
        return 1

    missing, fine = start(registry, "gone"), start(registry, "chain", 1)
    registry._latest.pop("gone")
    registry._orchestrations.pop("gone")
    drained(registry)

    assert blocked_reason(missing)["error_type"].endswith("NotRegistered")
    assert output(fine) == 2


def test_an_instance_whose_code_diverged_is_blocked_and_goes_on_when_the_code_is_back(registry: Registry) -> None:
    changed = Registry()
    for each in (registry, changed):
        each.activity("it")(run)
    registry.orchestration("steps")(two_waits)
    changed.orchestration("steps")(other_waits)
    instance = start(registry, "steps")
    drained(registry)

    instances.raise_event(instance, "one", '"x"', now=timezone.now(), using=USING)
    drained(changed)
    assert blocked_reason(instance)["error_type"].endswith(NondeterminismError.__name__)
    assert InboxMessage.objects.filter(held=True).count() == 1

    instances.resume_instance(instance, now=timezone.now(), using=USING)
    drained(registry)
    assert output(instance) == "x"


def run() -> str:
    return "ran"


def two_waits(ctx, value: Any = None):
    return (yield ctx.wait_for_event("one"))


def other_waits(ctx, value: Any = None):
    yield ctx.schedule_activity("it")
    return (yield ctx.wait_for_event("one"))


def test_a_message_that_cannot_be_decoded_blocks_its_instance_alone(registry: Registry) -> None:
    @registry.orchestration("listening")
    def listening(ctx, value: Any = None):
        return (yield ctx.wait_for_event("go"))

    damaged, fine = start(registry, "listening"), start(registry, "listening")
    drained(registry)
    for instance in (damaged, fine):
        instances.raise_event(instance, "go", "1", now=timezone.now(), using=USING)
    InboxMessage.objects.filter(instance__instance_id=damaged).update(kind="Unheard")
    drained(registry)

    assert "Unheard" in blocked_reason(damaged)["message"]
    assert output(fine) == 1


def test_a_history_that_cannot_be_decoded_blocks_its_instance_alone(registry: Registry) -> None:
    @registry.orchestration("listening")
    def listening(ctx, value: Any = None):
        return (yield ctx.wait_for_event("go"))

    damaged, fine = start(registry, "listening"), start(registry, "listening")
    drained(registry)
    Instance.objects.get(instance_id=damaged).events.filter(seq=2).update(kind="Unheard")
    for instance in (damaged, fine):
        instances.raise_event(instance, "go", "1", now=timezone.now(), using=USING)
    drained(registry)

    assert "Unheard" in blocked_reason(damaged)["message"]
    assert output(fine) == 1


def test_a_turn_that_can_never_be_committed_is_blocked_in_the_end(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, fine = start(registry, "chain", 1, "bad"), start(registry, "chain", 1)
    commit_turns = turns.commit_turns

    def refusing(worker_id: str, commits: list[TurnCommit], **options: Any) -> list[TurnOutcome]:
        good = [commit for commit in commits if commit.instance_id != "bad"]
        done = iter(commit_turns(worker_id, good, **options))
        return [
            TurnOutcome.failed(ValueError("no")) if commit.instance_id == "bad" else next(done) for commit in commits
        ]

    monkeypatch.setattr(turns, "commit_turns", refusing)
    worker = drained(registry)

    assert worker.metrics_snapshot()["turns_failed"] == 10
    assert blocked_reason(bad)["error_type"] == "Poisoned"
    assert output(fine) == 2
