"""Measures one contestant: `python -m benchmarks.drive NAME WORKLOAD SIZE URL CONCURRENCY TIMES` prints JSON.

Runs with the contestant's own interpreter. The worker is a process of its own, which has run a warm-up when the clock
starts; the workload then runs some times. How often somebody found the database locked is told, too.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import IO, Any

from . import stamps

Figures = dict[str, float]
CHAINS = 200


def chain(client: Any, size: int) -> Figures:
    """`CHAINS` instances of `size` activities in sequence: all started, then all waited for."""
    ids = _ids(CHAINS)
    started = time.perf_counter()
    for id in ids:
        client.start(id, "chain", size)
    for id in ids:
        client.wait(id)
    return {"activities_per_second": len(ids) * size / (time.perf_counter() - started)}


def fan_out(client: Any, size: int) -> Figures:
    """One instance of `size` activities at once."""
    [id] = _ids(1)
    started = time.perf_counter()
    client.start(id, "fan_out", size)
    client.wait(id)
    return {"activities_per_second": size / (time.perf_counter() - started)}


def latency(client: Any, size: int) -> Figures:
    """`size` instances of one activity, one after the other: from the start to the output seen, in ms."""
    taken = []
    for id in _ids(size):
        started = time.perf_counter()
        client.start(id, "chain", 1)
        client.wait(id)
        taken.append((time.perf_counter() - started) * 1000)
    return {"p50_ms": _quantile(taken, 0.50), "p99_ms": _quantile(taken, 0.99)}


def sequence(client: Any, size: int) -> Figures:
    """`size` activities in sequence in one instance: ms a step, of the first and of the last hundred."""
    [id] = _ids(1)
    client.start(id, "chain", size)
    client.wait(id)
    times = stamps.read(Path(os.environ[stamps.VARIABLE]))[-size:]
    steps = [(after - before) * 1000 for before, after in pairwise(times)]
    return {"first_ms": median(steps[:100]), "last_ms": median(steps[-100:]), "median_ms": median(steps)}


WORKLOADS: dict[str, Callable[[Any, int], Figures]] = {
    "chain": chain,
    "fan_out": fan_out,
    "latency": latency,
    "sequence": sequence,
}


def _ids(count: int) -> list[str]:
    return [f"bench-{uuid.uuid4().hex}" for _ in range(count)]


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


@contextmanager
def worker(name: str, url: str, concurrency: int, log: IO[bytes] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker process; it is ended with the block. What it says goes to `log`."""
    with ExitStack() as stack:
        log = log or stack.enter_context(tempfile.TemporaryFile())
        command = [sys.executable, "-m", "benchmarks.drive", name, "serve", str(concurrency), url]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield process
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read().decode()[-4000:])
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def main(name: str, workload: str, size: int, url: str, concurrency: int = 0, times: int = 1) -> None:
    contestant = importlib.import_module(f"benchmarks.contestants.{name}")
    if workload == "prepare":
        return contestant.prepare(url)
    if workload == "serve":
        return contestant.serve(url, size)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory, tempfile.TemporaryFile() as log:
        os.environ[stamps.VARIABLE] = os.path.join(directory, "stamps")
        with worker(name, url, concurrency, log):
            client = contestant.Client(url)
            for id in _ids(3):
                client.start(id, "chain", 5)
                client.wait(id)
            runs = [WORKLOADS[workload](client, size) for _ in range(times)]
        log.seek(0)
        locked = log.read().count(b"database is locked")
    sys.stdout.write(json.dumps([{**figures, "locked": locked} for figures in runs]) + "\n")


if __name__ == "__main__":
    name, workload, size, url, *rest = sys.argv[1:]
    main(name, workload, int(size), url, *map(int, rest))
