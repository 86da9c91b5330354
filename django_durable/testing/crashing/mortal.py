"""A worker in a process of its own, forked from the test's: told what to do through one pipe, heard through another.

It sends a line of JSON for each boundary that it reaches and each activity that it is about to call, so these are known
whenever it dies.
"""

from __future__ import annotations

import faulthandler
import json
import os
import select
import signal
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from ...registry import Registry
from ...store.records import ClaimedTask, TaskKey
from ...worker.attempts import Attempt
from ...worker.executor import ActivityRunner
from ...worker.partials import PartialsWriter
from ...worker.worker import Worker
from ..clock import StandingClock
from ..harness import Durable
from .boundaries import Boundaries
from .forking import flush, fork, let_go

DEADLINE_SECONDS = 60.0
"""After so long without a word, a worker counts as stuck."""

LISTENING_SECONDS = 0.5
"""So long at a time it is listened for: where the machine stands still, that counts once and no more."""

BETWEEN_ORDERS = timedelta(seconds=1)
"""By how much its clock moves meanwhile: longer than that takes, so that each play is like the one before."""


class Call(NamedTuple):
    """An activity that was about to be called: its task, and which attempt."""

    instance: int
    execution: int
    seq: int
    attempt: int
    name: str

    @classmethod
    def of(cls, task: ClaimedTask) -> Call:
        return cls(*task.key, task.attempt, task.name)

    @property
    def key(self) -> TaskKey:
        return TaskKey(self.instance, self.execution, self.seq)


class Mortal:
    """The worker's process, as the test sees it.

    Attributes:
        calls: The activities it called, or was about to.
        boundaries: The names of those it reached; the last one is where it died, if it did.
        now: What its clock showed when it was last heard of.
        dead: Whether it has ended.
    """

    def __init__(self, registry: Registry, *, dies_at: int | None, now: datetime, **options: Any) -> None:
        self.calls: list[Call] = []
        self.boundaries: list[str] = []
        self.now = now
        self.dead = False
        self._dies_at = dies_at
        let_go()
        orders, self._orders = os.pipe()
        self._words, words = os.pipe()
        self._stack = Stack()
        self._pid = fork()
        if not self._pid:
            os.close(self._orders)
            os.close(self._words)
            self._stack.prepare()
            _Life(orders, words).live(registry, dies_at, now, options)
        os.close(orders)
        os.close(words)
        self._unread = b""

    def run(self, by: timedelta) -> bool:
        """Move its clock, and let it run until nothing is due. Returns: False where it was killed before that.

        Raises: AssertionError: it failed, or is stuck.
        """
        with suppress(BrokenPipeError):  # Where it has ended already, its last words say why.
            os.write(self._orders, f"{by.total_seconds()}\n".encode())
        for word in self._hear():
            match word:
                case ["boundary", name, now]:
                    self.boundaries.append(name)
                    self.now = datetime.fromisoformat(now)
                case ["call", *call]:
                    self.calls.append(Call(*call))
                case ["idle", now]:
                    self.now = datetime.fromisoformat(now)
                    return True
                case ["failed", text]:
                    self.end()
                    raise AssertionError(f"The worker failed:\n{text}")
        if len(self.boundaries) != self._dies_at:
            raise AssertionError(f"The worker ended by itself, {self._ending()}, last: {self.boundaries[-1:]}.")
        return False

    def end(self) -> None:
        """End it as a crash does, if it lives; and collect what is left."""
        if not self.dead:
            self.dead = True
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._close()

    def _close(self) -> None:
        os.close(self._orders)
        os.close(self._words)
        self._stack.close()

    def _ending(self) -> str:
        """Wait until it has ended. Returns: how."""
        self.dead = True
        _, status = os.waitpid(self._pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self._close()
        return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"

    def _hear(self) -> Iterator[list[Any]]:
        """Yield what it says, until it has ended."""
        silence = 0.0
        while True:
            *lines, self._unread = self._unread.split(b"\n")
            for line in lines:
                yield json.loads(line)
            readable, _, _ = select.select([self._words], [], [], LISTENING_SECONDS)
            if not readable and silence < DEADLINE_SECONDS:
                silence += LISTENING_SECONDS
                continue
            if not readable:
                stands = self._stack.read_of(self._pid)
                self.end()
                raise AssertionError(
                    f"The worker said nothing for {DEADLINE_SECONDS:.0f} s, last: {self.boundaries[-1:]}.\n{stands}"
                )
            heard = os.read(self._words, 65_536)
            if not heard:
                return
            self._unread += heard
            silence = 0.0


class Stack:
    """Where a process stands that does not answer: it writes that into a file when it is asked by a signal."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process

    def prepare(self) -> None:
        """Write it when asked. In the process."""
        faulthandler.register(signal.SIGUSR1, file=self._file, all_threads=True)

    def read_of(self, pid: int) -> str:
        """Ask, and wait a second at most."""
        os.kill(pid, signal.SIGUSR1)
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline and not os.fstat(self._file.fileno()).st_size:
            time.sleep(0.01)
        self._file.seek(0)
        return self._file.read().decode(errors="replace")

    def close(self) -> None:
        self._file.close()


class _Life:
    """The inside: runs what it is told until nobody is there to tell it anything."""

    def __init__(self, orders: int, words: int) -> None:
        self._orders = orders
        self._words = words

    def live(self, registry: Registry, dies_at: int | None, now: datetime, options: dict[str, Any]) -> None:
        """Never returns: what the test's process would do after this is none of this one's business."""
        try:
            clock = StandingClock(now)
            durable = _Noting(registry, clock, partial(self._say, "call"), **options)
            Boundaries(lambda name: self._say("boundary", name, clock.now().isoformat()), dies_at).watch()
            with os.fdopen(self._orders) as orders:
                for order in orders:
                    # What the test wrote meanwhile bears the machine's time, and must not lie ahead.
                    clock.advance_to(max(clock.now() + BETWEEN_ORDERS, datetime.now(UTC)))
                    durable.advance(timedelta(seconds=float(order)))
                    self._say("idle", clock.now().isoformat())
        except BaseException:
            self._say("failed", traceback.format_exc())
        finally:
            flush()
            os._exit(0)

    def _say(self, *word: Any) -> None:
        line = json.dumps(word).encode() + b"\n"
        while line:
            line = line[os.write(self._words, line) :]


class _Noting(Durable):
    """Tells of each activity before it calls it."""

    def __init__(self, registry: Registry, clock: StandingClock, note: Any, **options: Any) -> None:
        self._note = note
        super().__init__(registry, clock=clock, **options)

    def _new_worker(self) -> Worker:
        return _NotingWorker(self._note, self.registry, clock=self.clock, **self._options)


class _NotingWorker(Worker):
    def __init__(self, note: Any, *args: Any, **options: Any) -> None:
        self._note = note
        super().__init__(*args, **options)

    def _activity_runner(self, partials: PartialsWriter) -> ActivityRunner:
        runner = super()._activity_runner(partials)
        begin = runner.begin

        def noted(attempt: Attempt) -> None:
            self._note(*Call.of(attempt.task))
            begin(attempt)

        runner.begin = noted  # type: ignore[method-assign]
        return runner
