"""Turns as a worker of a test commits them: more of a `TurnCommit` than `lives.turn` needs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django_durable import models
from django_durable.engine import events
from django_durable.engine.events import Fact, HistoryEvent, OrchestrationStarted
from django_durable.store import activities, claims, turns
from django_durable.store.records import ClaimedInstance, ClaimedTask, TagFilter, TaskKey, TurnCommit, TurnOutcome

from .lives import LEASE, NOW, USING, WORKER, start

OTHER = "worker-2"
DONE = events.ActivityCompleted(scheduled_seq=2, result="1", worker_id=WORKER, started_ms=1)


def claim_all(*, worker: str = WORKER, limit: int = 1_000, now: datetime = NOW) -> dict[str, ClaimedInstance]:
    """Lease what can be leased; by instance id."""
    claimed = claims.claim_instances(worker, limit=limit, lease=LEASE, now=now, using=USING)
    return {each.instance_id: each for each in claimed}


def fresh(*instance_ids: str, now: datetime = NOW) -> list[ClaimedInstance]:
    """Start instances and lease them."""
    for each in instance_ids:
        start(each, now=now)
    claimed = claim_all(now=now)
    return [claimed[each] for each in instance_ids]


def made(claimed: ClaimedInstance, *facts: Fact, at: datetime = NOW, **others: Any) -> TurnCommit:
    """Return the commit of a turn that takes all messages and records its start, if it is the first, and `facts`."""
    begun = [each.fact for each in claimed.messages if isinstance(each.fact, OrchestrationStarted)]
    recorded = enumerate([*begun, *facts], start=claimed.history_length + 1)
    values: dict[str, Any] = {
        "instance": claimed.id,
        "instance_id": claimed.instance_id,
        "execution_number": claimed.execution_number,
        "lease_token": claimed.lease_token,
        "history_length": claimed.history_length,
        "kin": claimed.kin,
        "events": [HistoryEvent(seq, at, fact) for seq, fact in recorded],
        "consumed": [each.id for each in claimed.messages],
    }
    return TurnCommit(**{**values, **others})


def put(*commits: TurnCommit, worker: str = WORKER, now: datetime = NOW) -> list[TurnOutcome]:
    """Commit turns together."""
    return turns.commit_turns(worker, commits, lease=LEASE, now=now, using=USING)


def committed(*commits: TurnCommit, worker: str = WORKER, now: datetime = NOW) -> None:
    """Commit turns together, and see to it that all are committed."""
    outcomes = put(*commits, worker=worker, now=now)
    assert outcomes == [TurnOutcome.COMMITTED] * len(commits), outcomes


def running(instance_id: str, *facts: Fact, now: datetime = NOW, **others: Any) -> int:
    """Start an instance that has had one turn, which recorded `facts`. Returns: its surrogate id."""
    (claimed,) = fresh(instance_id, now=now)
    committed(made(claimed, *facts, at=now, **others), now=now)
    return claimed.id


def task(name: str = "charge", **others: Any) -> events.ActivityScheduled:
    """What a turn records to schedule an activity."""
    return events.ActivityScheduled(**{"name": name, "input": "1", **others})


def claim_tasks(
    worker: str = WORKER,
    *,
    tags: TagFilter = TagFilter.DEFAULT_ONLY,
    limit: int = 100,
    now: datetime = NOW,
    **others: Any,
) -> list[ClaimedTask]:
    """Lease activity tasks."""
    return activities.claim_activities(worker, tags=tags, limit=limit, lease=LEASE, now=now, using=USING, **others)


def tasks() -> dict[TaskKey, str | None]:
    """Return who leases each task there is."""
    rows = models.ActivityTask.objects.using(USING).order_by("pk")
    found = rows.values_list("instance_id", "execution_number", "seq", "lease_owner")
    return {TaskKey(*key): owner for *key, owner in found}


def seqs(rows: Sequence[ClaimedTask]) -> list[int]:
    return [each.key.seq for each in rows]
