"""What holds of the tables whatever has happened, and what instances come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from django.contrib.auth.models import Group
from django.db.models import F

from django_durable import models
from django_durable.client import Client
from django_durable.engine.states import TERMINAL
from django_durable.store.records import TaskKey
from django_durable.testing import assert_prefix_law, assert_replays

from .script import Model

OWNED = (
    models.Execution,
    models.HistoryEvent,
    models.InboxMessage,
    models.ActivityTask,
    models.KeyValue,
    models.QueuedEvent,
)
ENDS = ("ActivityCompleted", "ActivityFailed")


def has_completed(key: TaskKey) -> bool:
    """Tell whether the outcome of an activity is in the history."""
    return models.HistoryEvent.objects.filter(
        instance_id=key.instance, execution_number=key.execution, source_seq=key.seq, kind__in=ENDS
    ).exists()


def check_tables(known: Collection[str]) -> None:
    """Check what holds between any two transactions."""
    instances = models.Instance.objects
    assert set(instances.filter(parent=None).values_list("instance_id", flat=True)) == set(known)
    assert not instances.filter(runtime_status="Blocked").exists()
    ended = instances.filter(runtime_status__in=TERMINAL)
    assert not ended.exclude(lease_owner=None).exists(), "a lease of what has ended"
    for model in (models.ActivityTask, models.InboxMessage):
        assert not model.objects.filter(instance__in=ended).exists(), f"{model.__name__} of what has ended"
    assert not models.Execution.objects.filter(instance__in=ended, status="Running").exists()
    running = models.Execution.objects.filter(status="Running")
    assert running.count() == instances.count() - ended.count(), "one running execution for each living instance"
    assert not running.exclude(number=F("instance__execution_number")).exists()
    for task in models.ActivityTask.objects.select_related("instance"):
        assert task.execution_number == task.instance.execution_number, "a task of an execution that has ended"
        assert not has_completed(TaskKey(task.instance_id, task.execution_number, task.seq)), (
            "a task that has completed"
        )
    doubled = [name for name in Group.objects.values_list("name", flat=True) if not name.endswith(" 0")]
    assert not doubled, "an atomic activity wrote twice"


def grown(before: dict[tuple[int, int], list[Any]]) -> dict[tuple[int, int], list[Any]]:
    """Return all histories by instance and execution, having checked that none lost or changed what it had."""
    found: dict[tuple[int, int], list[Any]] = {}
    columns = ("seq", "kind", "name", "source_seq", "payload", "data")
    rows = models.HistoryEvent.objects.order_by("instance_id", "execution_number", "seq")
    for instance, number, *event in rows.values_list("instance_id", "execution_number", *columns):
        found.setdefault((instance, number), []).append(event)
    for place, history in found.items():
        assert [event[0] for event in history] == list(range(1, len(history) + 1)), "a gap"
        assert history[: len(before.get(place, []))] == before.get(place, []), "a recorded event changed"
        answered = Counter(event[3] for event in history if event[1] in ENDS)
        assert set(answered.values()) <= {1}, "an activity completed twice"
    lengths = dict(models.Instance.objects.values_list("id", "history_length"))
    current = dict(models.Instance.objects.values_list("id", "execution_number"))
    assert lengths == {each: len(found.get((each, current[each]), [])) for each in lengths}
    return found


def check_outcome(client: Client, key: str, model: Model) -> None:
    """Check an instance at rest against its model, and that its histories replay from every prefix."""
    info = client.get_instance_info(key)
    for number in client.list_executions(key):
        history = client.read_execution_history(key, number)
        if history:
            assert_replays(client.registry.environment, history)
            assert_prefix_law(client.registry.environment, history)
    if model.loose or info.runtime_status in ("Terminated", "Suspended"):
        return
    expected = model.outcome()
    assert info.runtime_status == expected.status, (info, expected)
    assert client.get_kv_all_values(key) == expected.kv
    assert client.get_status(key).custom_status == expected.custom_status
    written = {name.removesuffix(" 0") for name in Group.objects.values_list("name", flat=True)}
    assert expected.rows <= written
    if expected.status == "Completed":
        assert client.get_output(key) == expected.done
    if expected.status == "Running":
        queued = models.QueuedEvent.objects.filter(instance__instance_id=key).order_by("id")
        assert [client.registry.codec.decode(each.payload) for each in queued] == expected.left


def check_only(known: Collection[str]) -> None:
    """Check that no instance owns anything that is not one of these or a descendant of one."""
    kept = models.Instance.objects.filter(instance_id__in=known).values("id")
    there = models.Instance.objects.values_list("id", "root")
    assert {root or each for each, root in there} == {each["id"] for each in kept}
    ids = [each for each, _ in there]
    for model in OWNED:
        assert not model.objects.exclude(instance_id__in=ids).exists(), f"{model.__name__} of a deleted instance"


def check_empty() -> None:
    """Check that nothing is left."""
    left = {model.__name__: model.objects.count() for model in (models.Instance, *OWNED)}
    assert not any(left.values()), left
