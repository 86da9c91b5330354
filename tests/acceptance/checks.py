"""What has to hold of every instance, whatever happened to the processes that ran it."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

from django_durable.client import Client
from django_durable.engine.facts.base import Fact
from django_durable.testing import assert_replays

from .stage import DEADLINE

COMPLETIONS = (
    "ActivityCompleted",
    "ActivityFailed",
    "TimerFired",
    "SubOrchestrationCompleted",
    "SubOrchestrationFailed",
)


def output_of(client: Client, instance_id: str) -> Any:
    """Wait until an instance has ended, and return what it returned."""
    return client.wait_for_output(instance_id, timedelta(seconds=DEADLINE))


def check_finished(client: Client, instance_id: str) -> None:
    """Check a finished instance and its descendants: whole histories, nothing left over, nothing doubled."""
    ids = client.get_instance_tree(instance_id).all_ids
    check_nothing_left(instance_id__in=ids)
    for each in ids:
        for number in client.list_executions(each):
            check_history(client, each, number)


def check_nothing_left(**instances: object) -> None:
    """Check that instances have completed, all or those that a lookup names, and that nothing of them is still open."""
    from django_durable.models import ActivityTask, Execution, InboxMessage, Instance

    found = Instance.objects.filter(**instances)
    assert {each.runtime_status for each in found} == {"Completed"}
    assert {(each.lease_owner, each.lease_until) for each in found} == {(None, None)}
    for model in (ActivityTask, InboxMessage):
        assert not model.objects.filter(instance__in=found).exists()
    assert not Execution.objects.filter(instance__in=found, status="Running").exists()


def check_history(client: Client, instance_id: str, execution: int) -> None:
    """Check one history: gap-free, each command answered once at most, and repeatable by the code."""
    history = client.read_execution_history(instance_id, execution)
    assert [event.seq for event in history] == list(range(1, len(history) + 1))
    answered = Counter(source_seq(event.fact) for event in history if event.kind in COMPLETIONS)
    assert set(answered.values()) <= {1}, "a command was answered twice"
    assert_replays(client.registry.environment, history)


def completed_labels(client: Client, instance_id: str) -> set[str]:
    """Return the labels of the activities whose completion is in the current history: nothing may run them again."""
    history = client.read_execution_history(instance_id)
    done = {source_seq(event.fact) for event in history if event.kind == "ActivityCompleted"}
    inputs = [json.loads(event.fact.input) for event in history if event.seq in done]
    return {_label(each) for each in inputs}


def _label(input: Any) -> str:
    """Return the label among recorded arguments: by name, as a local step's list, or alone."""
    match input:
        case {"label": label} | [label]:
            return str(label)
    return str(input)


def source_seq(fact: Fact) -> int | None:
    """Return the seq of the command that a fact answers."""
    return fact.columns()[2]
