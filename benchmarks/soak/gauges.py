"""Measuring while a soak runs, and judging what was measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from django.db import connection

from django_durable import models

TABLES = (
    *(models.Instance, models.Execution, models.HistoryEvent, models.InboxMessage),
    *(models.ActivityTask, models.QueuedEvent, models.KeyValue, models.Worker),
)


class Sample(NamedTuple):
    """What was seen at one moment; seconds since the beginning, MB."""

    seconds: float
    open: int
    memory: float
    size: float
    rows: dict[str, int]


class Gauges:
    """Takes samples every few seconds."""

    def __init__(self, memory: Callable[[], float], opened: Callable[[], int]) -> None:
        self._memory = memory
        self._opened = opened
        self._begun = time.monotonic()
        self.samples: list[Sample] = []

    def read(self, every: float = 5.0) -> None:
        """Take a sample if it is time to."""
        seconds = time.monotonic() - self._begun
        if self.samples and seconds - self.samples[-1].seconds < every:
            return
        rows = {model.__name__: model.objects.count() for model in TABLES}
        self.samples.append(Sample(seconds, self._opened(), self._memory(), _size(), rows))


def _size() -> float:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            return float(cursor.fetchone()[0]) / 2**20
    name = str(connection.settings_dict["NAME"])
    files = (Path(name + suffix) for suffix in ("", "-wal"))
    return sum(file.stat().st_size for file in files if file.exists()) / 2**20


def grown(samples: Sequence[Sample], latencies: Sequence[tuple[float, float]]) -> Iterator[str]:
    """Yield what grew from the second third of a run to its last; the first is for warming up."""
    _, before, after = (list(part) for part in _thirds(samples))
    memory = median(each.memory for each in before), median(each.memory for each in after)
    if memory[1] > memory[0] * 1.1 + 5:
        yield f"memory of the worker that stays grew from {memory[0]:.0f} to {memory[1]:.0f} MB"
    for name in before[0].rows:
        most = max(each.rows[name] for each in before), max(each.rows[name] for each in after)
        if most[1] > most[0] * 1.5 + 100:
            yield f"rows of {name} grew from {most[0]:,} to {most[1]:,}"
    seconds = samples[-1].seconds
    taken = [
        median(latency for at, latency in latencies if low <= at / seconds < high)
        for low, high in ((1 / 3, 2 / 3), (2 / 3, 2))
    ]
    if taken[1] > taken[0] * 1.5 + 0.05:
        yield f"the median latency of an order grew from {taken[0] * 1000:.0f} to {taken[1] * 1000:.0f} ms"


def table(samples: Sequence[Sample], latencies: Sequence[tuple[float, float]]) -> str:
    """Return a line for each tenth of the run."""
    seconds = samples[-1].seconds
    titles = [
        "minute",
        "orders",
        "median ms",
        "p99 ms",
        "open",
        "memory MB",
        "database MB",
        "instances",
        "events",
        "inbox",
        "tasks",
    ]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for tenth in range(10):
        low, high = seconds * tenth / 10, seconds * (tenth + 1) / 10
        taken = sorted(latency * 1000 for at, latency in latencies if low <= at < high)
        seen = [each for each in samples if low <= each.seconds <= high] or [samples[-1]]
        last = seen[-1]
        p50 = f"{median(taken):.0f}" if taken else "-"
        p99 = f"{taken[len(taken) * 99 // 100]:.0f}" if taken else "-"
        most = {name: max(each.rows[name] for each in seen) for name in last.rows}
        lines.append(
            f"| {high / 60:.1f} | {len(taken):,} | {p50} | {p99} | {last.open} | {last.memory:.0f} | {last.size:.0f} "
            f"| {most['Instance']:,} | {most['HistoryEvent']:,} | {most['InboxMessage']:,} | {most['ActivityTask']:,} |"
        )
    return "\n".join(lines)


def _thirds(samples: Sequence[Sample]) -> tuple[Sequence[Sample], Sequence[Sample], Sequence[Sample]]:
    third = max(len(samples) // 3, 1)
    return samples[:third], samples[third : 2 * third] or samples, samples[2 * third :] or samples
