"""Instances brought to where a test wants them, by the store's own functions: no registry, no worker, no clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django_durable import models
from django_durable.engine import events
from django_durable.engine.events import Fact, HistoryEvent, OrchestrationStarted
from django_durable.engine.failures import Failure
from django_durable.store import claims, instances, turns
from django_durable.store.records import ClaimedInstance, TurnCommit, TurnOutcome
from django_durable.store.starts import NewInstance

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LEASE = timedelta(seconds=30)
USING = "default"
WORKER = "worker-1"
COMPLETED = events.OrchestrationCompleted(output='"done"')
FAILED = events.OrchestrationFailed(failure=Failure("ValueError", "broken", "Traceback ..."))


def start(
    instance_id: str,
    *,
    orchestration: str = "orders",
    version: str = "1.0.0",
    input: str = "null",
    same_version: bool = False,
    start_at: datetime | None = None,
    now: datetime = NOW,
) -> tuple[int, bool]:
    """Start an instance; returns its surrogate id and whether it is new."""
    new = NewInstance(
        instance_id=instance_id,
        orchestration=orchestration,
        version=version,
        input=input,
        seed=f"seed of {instance_id}",
        start_at=start_at,
    )
    return instances.create_instance(new, same_version=same_version, now=now, using=USING)


def claim(instance_id: str, *, now: datetime = NOW) -> ClaimedInstance:
    """Lease one instance that has messages; the others are released."""
    claimed = {
        each.instance_id: each
        for each in claims.claim_instances(WORKER, limit=10_000, lease=LEASE, now=now, using=USING)
    }
    mine = claimed.pop(instance_id)
    claims.release_instances(WORKER, {each.id: each.lease_token for each in claimed.values()}, now, using=USING)
    return mine


def commit(claimed: ClaimedInstance, *facts: Fact, now: datetime = NOW) -> TurnOutcome:
    """Commit a turn that takes every message of a claim and records its start, if it is the first, and `facts`."""
    begun = [each.fact for each in claimed.messages if isinstance(each.fact, OrchestrationStarted)]
    recorded = [
        HistoryEvent(claimed.history_length + place, now, fact) for place, fact in enumerate([*begun, *facts], start=1)
    ]
    following = None
    if facts and isinstance(facts[-1], events.OrchestrationContinuedAsNew):
        following = OrchestrationStarted(
            name=claimed.orchestration,
            version=claimed.version,
            input=facts[-1].input,
            instance_id=claimed.instance_id,
            execution=claimed.execution_number + 1,
            seed="seed",
        )
    made = TurnCommit(
        instance=claimed.id,
        instance_id=claimed.instance_id,
        execution_number=claimed.execution_number,
        lease_token=claimed.lease_token,
        history_length=claimed.history_length,
        kin=claimed.kin,
        events=recorded,
        consumed=[each.id for each in claimed.messages],
        next_start=following,
        next_version=following.version if following else None,
    )
    return turns.commit_turns(WORKER, [made], lease=LEASE, now=now, using=USING)[0]


def turn(instance_id: str, *facts: Fact, now: datetime = NOW) -> None:
    """Claim an instance that has messages, and commit a turn that records `facts`."""
    assert commit(claim(instance_id, now=now), *facts, now=now) is TurnOutcome.COMMITTED


def nudge(instance_id: str, *, now: datetime = NOW) -> None:
    """Send an event, so that the instance can have another turn."""
    instances.raise_event(instance_id, "nudge", "null", now=now, using=USING)


def finish(instance_id: str, fact: Fact = COMPLETED, *, now: datetime = NOW) -> None:
    """Start an instance that ends with its first turn."""
    start(instance_id, now=now)
    turn(instance_id, fact, now=now)


def continued(instance_id: str, times: int, *, now: datetime = NOW) -> None:
    """Start an instance that continues as new so often, each execution an hour after the one before."""
    start(instance_id, now=now)
    for number in range(times):
        turn(instance_id, events.OrchestrationContinuedAsNew(input=str(number)), now=now + timedelta(hours=number))


def child(instance_id: str) -> events.SubOrchestrationScheduled:
    """What a turn records to start a child."""
    return events.SubOrchestrationScheduled(name="shipping", version="2.0.0", instance_id=instance_id, input="7")


def activity(name: str = "charge") -> events.ActivityScheduled:
    """What a turn records to schedule an activity."""
    return events.ActivityScheduled(name=name, input="1")


def family() -> None:
    """Start `root`, its children `left` and `right`, and `leaf` below `left`; all have had a turn and run."""
    start("root")
    turn("root", child("left"), child("right"), activity())
    turn("left", child("leaf"), activity())
    turn("right")
    turn("leaf", activity())


def park(instance_id: str, *, now: datetime = NOW) -> None:
    """Block an instance that has messages."""
    claimed = claim(instance_id, now=now)
    reason = Failure("NotRegistered", "No orchestration 'orders'.")
    assert turns.block_instances(WORKER, [(claimed.id, claimed.lease_token, reason)], now, using=USING) == set()


def row(instance_id: str) -> models.Instance:
    return models.Instance.objects.using(USING).get(instance_id=instance_id)


def statuses() -> dict[str, str]:
    """Return the status of every instance, by instance id."""
    return dict(models.Instance.objects.using(USING).order_by("id").values_list("instance_id", "runtime_status"))


def messages(instance_id: str) -> list[Fact]:
    """Return the facts in an instance's inbox, oldest first, whether visible or not."""
    rows = models.InboxMessage.objects.using(USING).filter(instance__instance_id=instance_id).order_by("id")
    columns = rows.values_list("kind", "name", "source_seq", "payload", "data")
    return [events.fact_from_columns(*each) for each in columns]


def kinds(instance_id: str, execution: int = 1) -> list[str]:
    """Return the kinds of the events of one execution, in order."""
    rows = models.HistoryEvent.objects.using(USING).filter(
        instance__instance_id=instance_id, execution_number=execution
    )
    return list(rows.order_by("seq").values_list("kind", flat=True))


def counts() -> dict[str, int]:
    """Return the number of rows of each table that instances own."""
    tables = (
        models.Instance, models.Execution, models.HistoryEvent, models.InboxMessage, models.QueuedEvent,
        models.ActivityTask, models.KeyValue,
    )  # fmt: skip
    return {model.__name__: model.objects.using(USING).count() for model in tables}
