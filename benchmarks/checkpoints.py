"""What a turn costs after many: `python -m benchmarks.checkpoints [--database sqlite]` keeps JSON. Ours alone.

The same loop, replayed and with checkpoints, waits for an event after `steps` steps of two events each. Then turns are
measured, one event each: by a worker that has the execution in memory (`hot`), and by one that has nothing (`cold`).
Times are medians in ms, of the claim, the rebuilding, the code and the commit; bytes are what is read to rebuild it.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from .contestants import durable
from .databases import Databases
from .results import keep

STEPS = (10, 1_000, 100_000)
MODES = ("replay", "checkpoint")
TURNS = 5
LEASE = timedelta(hours=1)
WORKER = "benchmark"


async def loop(ctx: Any) -> None:
    seen: dict[str, Any] = {}
    while True:
        seen = {"last": await ctx.wait_for_event("step"), "count": seen.get("count", 0) + 1}


def measure(mode: str, steps: int) -> dict[str, Any]:
    """Return the figures of one mode after so many steps."""
    from django_durable.registry import Registry

    registry = Registry()
    registry.orchestration("loop", mode=mode)(loop)  # type: ignore[call-overload]
    key = f"{mode}-{steps}"
    stored = _begun(registry, key, steps)
    gc.collect()  # Of the history that it made.
    return {
        **stored,
        "hot_ms": _turns(registry, key, 1),
        "cold_ms": _turns(registry, key, 0),
    }


def _begun(registry: Any, key: str, steps: int) -> dict[str, Any]:
    """Start an instance and commit `steps` steps as one turn. Returns: the bytes that its past has."""
    from django_durable.client import Client
    from django_durable.engine import events
    from django_durable.engine.replay import Execution
    from django_durable.store import claims, turns
    from django_durable.store.records import TurnCommit

    Client(registry).start_orchestration(key, "loop")
    now = datetime.now(UTC)
    (claim,) = claims.claim_instances(WORKER, limit=1, lease=LEASE, now=now)
    execution = Execution(registry.environment)
    recorded = execution.advance([each.fact for each in claim.messages if each.fact is not None], now=now)
    for number in range(steps):
        recorded += execution.advance([events.ExternalEvent(name="step", payload=str(number))], now=now)
    checkpoint = execution.checkpoint()
    commit = TurnCommit(
        instance=claim.id,
        instance_id=claim.instance_id,
        execution_number=1,
        lease_token=claim.lease_token,
        history_length=0,
        kin=claim.kin,
        events=recorded,
        consumed=[each.id for each in claim.messages],
        checkpoint=checkpoint,
    )
    turns.commit_turns(WORKER, [commit], lease=LEASE, now=now)
    execution.close()
    history = sum(len("".join(map(str, each.fact.columns()))) for each in recorded)
    return {"history_bytes": history, "checkpoint_bytes": len(checkpoint.state) if checkpoint is not None else 0}


def _turns(registry: Any, key: str, hot_executions: int) -> float:
    """Return the median of some turns; the first one is not counted, it only fills the cache."""
    from django_durable.testing import Durable

    harness = Durable(registry, hot_executions=hot_executions)
    harness.clock.advance_to(datetime.now(UTC))
    taken = []
    for number in range(TURNS + 1):
        harness.client.raise_event(key, "step", number)
        begun = time.perf_counter()
        harness.run()
        taken.append((time.perf_counter() - begun) * 1000)
    harness.close()
    return round(median(taken[1:]), 2)


@contextmanager
def _project(vendor: str) -> Iterator[Databases]:
    with ExitStack() as stack:
        databases = Databases(stack)
        durable.prepare(stack.enter_context(databases.fresh(vendor)))
        from django.conf import settings
        from django.test.utils import override_settings

        longer = {**getattr(settings, "DJANGO_DURABLE", {}), "MAX_HISTORY_EVENTS": 10_000_000}
        stack.enter_context(override_settings(DJANGO_DURABLE=longer))
        from django.db import connections

        yield databases
        connections.close_all()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checkpoints", description=__doc__)
    parser.add_argument("--database", default="postgresql", choices=("postgresql", "sqlite"))
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    options = parser.parse_args()
    with _project(options.database) as databases:
        figures: dict[str, dict[str, Any]] = {}
        for steps in options.steps:
            figures[str(steps)] = {}
            for mode in MODES:
                figures[str(steps)][mode] = measure(mode, steps)
                print(steps, mode, figures[str(steps)][mode], file=sys.stderr)
        print(keep(f"checkpoints-{options.database}", databases, {"database": options.database, "steps": figures}))


if __name__ == "__main__":
    main()
