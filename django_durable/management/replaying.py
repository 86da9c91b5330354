"""Replays many histories against the code that is here, in several processes. Reads, and writes nothing.

The processes are started anew and not forked, so that none has a connection of another.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from typing import TYPE_CHECKING

import django

if TYPE_CHECKING:
    from ..engine.verification import Mismatch

CHUNK = 50
"""Histories that a process is given at a time, or fewer where they are long. For one chunk no process is started."""

CHUNK_EVENTS = 10_000

AHEAD = 2
"""Chunks per process that are handed out before their turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The current execution of an instance in the database; `id` is the surrogate key."""

    id: int
    instance_id: str
    execution: int
    events: int
    orchestration: str
    version: str
    runtime_status: str


@dataclass(frozen=True, slots=True)
class Exported:
    """A history as text; `label` says where it stood."""

    label: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of one replay. `runtime_status` is None for one that was exported."""

    label: str
    instance_id: str | None = None
    execution: int | None = None
    orchestration: str | None = None
    version: str | None = None
    runtime_status: str | None = None
    mismatch: Mismatch | None = None


def verdicts(
    subjects: Iterable[Stored | Exported], *, processes: int, check: Callable[[list[Stored | Exported]], list[Verdict]]
) -> Iterator[Verdict]:
    """Yield a verdict for each history, as they come. Those of instances that are gone are left out.

    Args:
        check: Does it for some of them; a function of a module, given to the processes by its name.
    Raises: BrokenProcessPool: a process died.
    """
    chunks = _chunks(iter(subjects))
    first = list(islice(chunks, 2))
    if processes == 1 or len(first) < 2:
        for chunk in (*first, *chunks):
            yield from check(chunk)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=prepare_process) as pool:
        try:
            running: set[Future[list[Verdict]]] = {pool.submit(check, chunk) for chunk in first}
            while running:
                for chunk in islice(chunks, processes * AHEAD - len(running)):
                    running.add(pool.submit(check, chunk))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield from future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _chunks(subjects: Iterator[Stored | Exported]) -> Iterator[list[Stored | Exported]]:
    chunk: list[Stored | Exported] = []
    events = 0
    for subject in subjects:
        chunk.append(subject)
        events += subject.events if isinstance(subject, Stored) else 0
        if len(chunk) >= CHUNK or events >= CHUNK_EVENTS:
            yield chunk
            chunk, events = [], 0
    if chunk:
        yield chunk


def prepare_process() -> None:
    """Set Django up in a process that was just started; Ctrl-C is for the one that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    django.setup()
