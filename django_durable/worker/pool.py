"""Where attempts run: on reused threads and one event loop, or on the calling thread.

Theory of operation. A pool has `slots`; each attempt that runs holds one, be it a thread's or the loop's. Before them
is a short queue, so that a slot that becomes free starts the next attempt without asking the database. How long the
queue may be follows from how long attempts take: about `buffer` seconds of work for the slots that are not stuck with
something slow. Whoever finds attempts in the queue for much longer calls `recall` and hands them to other workers.

What `collect` returns costs much the same however many attempts there are. So where attempts are `short` on average,
those that have just begun are waited for (`wait_for_short`), for as long as one may take and still be short.

A plain function cannot be stopped. At its deadline the attempt is over and its outcome is recorded, but its thread is
still busy, so its slot stays taken until the function returns; what it returns is dropped.

Threads are daemons: a function that never returns must not keep the process alive once the worker gave up waiting.
Those that end in order close their connections first.
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable
from itertools import count
from queue import SimpleQueue
from typing import Protocol

from ..store import connections
from .attempts import Attempt
from .clock import Clock
from .executor import ActivityRunner
from .lookup import RunnableActivity
from .loopthread import LoopThread, canceler
from .outcomes import Defer, Drop, Finish, HandBack, Outcome

BUFFER_SECONDS = 0.02
SHORT_SECONDS = 0.002
"""What a short attempt takes at most, and how long it is waited for."""

LONGEST_QUEUE = 256
INLINE_SLOTS = 100
CLOSING_SECONDS = 1.0
Finished = tuple[Attempt, Outcome]


class Executor(Protocol):
    """What the dispatcher needs of a pool. Times are on the monotonic clock."""

    def free(self) -> int:
        """Return how many more attempts it would take now."""

    def submit(self, attempts: list[Attempt]) -> None:
        """Run attempts, in order, as slots become free."""

    def wait_for_short(self) -> None:
        """Where attempts are short on average, wait until those have ended that have just begun; a moment at most."""

    def collect(self) -> list[Finished]:
        """Return what has ended since the last call, each attempt once; those past their deadline have ended."""

    def recall(self, queued_before: float) -> list[Attempt]:
        """Take back attempts that are in the queue since before then."""

    def next_deadline(self) -> float | None:
        """Return when `collect` will next have a timeout to report."""

    def abandon(self) -> list[Attempt]:
        """Settle whatever still runs, ask it to stop, and return it."""

    def close(self) -> None:
        """Let the threads end that have nothing to run."""


class ThreadedExecutor:
    """Runs attempts on threads and one event loop; `ring` is called when there is something to collect."""

    def __init__(
        self,
        runner: ActivityRunner,
        *,
        slots: int,
        clock: Clock,
        ring: Callable[[], None],
        buffer: float = BUFFER_SECONDS,
        short: float = SHORT_SECONDS,
    ) -> None:
        self._slots = slots
        self._buffer = buffer
        self._short = short
        self._runner = runner
        self._clock = clock
        self._ring = ring
        self._lock = threading.Lock()
        self._queue: deque[Attempt] = deque()
        self._running: set[Attempt] = set()
        self._finished: deque[Finished] = deque()
        self._deadlines: list[tuple[float, int, Attempt]] = []
        self._order = count()
        self._mean = buffer
        self._awaited = 0
        self._short_ended = threading.Event()
        self._threads = _Threads(slots, self._run_in_thread)
        self._loop = LoopThread()

    def free(self) -> int:
        now = self._clock.monotonic()
        with self._lock:
            slow = sum(1 for each in self._running if each.started and now - each.started > self._buffer)
            ahead = int((self._slots - slow) * self._buffer / self._mean) if self._mean < self._buffer else 0
            return max(self._slots + min(ahead, LONGEST_QUEUE) - len(self._running) - len(self._queue), 0)

    def submit(self, attempts: list[Attempt]) -> None:
        with self._lock:
            self._queue.extend(attempts)
        self._fill()

    def wait_for_short(self) -> None:
        since = self._clock.monotonic() - self._short
        with self._lock:
            begun = sum(1 for each in self._running if each.started is None or each.started > since)
            if not begun or self._mean > self._short:
                return
            self._awaited = begun + len(self._queue)
            self._short_ended.clear()
        self._short_ended.wait(self._short)

    def collect(self) -> list[Finished]:
        self._expire()
        found: list[Finished] = []
        while self._finished:
            found.append(self._finished.popleft())
        return found

    def recall(self, queued_before: float) -> list[Attempt]:
        with self._lock:
            old = [attempt for attempt in self._queue if attempt.queued <= queued_before]
            for attempt in old:
                self._queue.remove(attempt)
        return old

    def next_deadline(self) -> float | None:
        with self._lock:
            while self._deadlines and self._deadlines[0][2].settled:
                heapq.heappop(self._deadlines)
            return self._deadlines[0][0] if self._deadlines else None

    def abandon(self) -> list[Attempt]:
        with self._lock:
            running = [attempt for attempt in self._running if attempt.settle()]
        for attempt in running:
            attempt.cancel()
        return running

    def close(self) -> None:
        self._threads.close()
        self._loop.close()

    def _fill(self) -> None:
        """Start queued attempts while slots are free."""
        while True:
            with self._lock:
                if not self._queue or len(self._running) >= self._slots:
                    return
                attempt = self._queue.popleft()
                self._running.add(attempt)
            resolved = self._runner.resolve(attempt)
            if isinstance(resolved, Finish | Defer | Drop):
                self._end(attempt, resolved)
            elif resolved.is_async and not resolved.atomic:
                self._loop.start(attempt.context, self._run_on_loop, attempt, resolved)
            else:
                self._threads.put((attempt, resolved))

    def _run_in_thread(self, attempt: Attempt, activity: RunnableActivity) -> None:
        # HandBack is the outcome of what the runner does not expect: a connection that cannot be refreshed.
        outcome: Outcome = HandBack()
        try:
            connections.refresh()
            self._begin(attempt)
            outcome = self._runner.run_in_thread(attempt, activity)
            connections.refresh()
        finally:
            self._end(attempt, outcome)
            self._threads.idle()
            self._fill()

    async def _run_on_loop(self, attempt: Attempt, activity: RunnableActivity) -> None:
        attempt.on_cancel = canceler()
        outcome: Outcome = HandBack()
        try:
            self._begin(attempt)
            outcome = await self._runner.run_on_loop(attempt, activity)
        finally:
            self._end(attempt, outcome)
            self._fill()

    def _begin(self, attempt: Attempt) -> None:
        """Start an attempt's clock; wake the dispatcher if it would sleep past the deadline."""
        self._runner.begin(attempt)
        if attempt.deadline is None:
            return
        with self._lock:
            heapq.heappush(self._deadlines, (attempt.deadline, next(self._order), attempt))
            nearest = self._deadlines[0][2] is attempt
        if nearest:
            self._ring()

    def _end(self, attempt: Attempt, outcome: Outcome) -> None:
        if attempt.settle():
            self._finished.append((attempt, outcome))
        with self._lock:
            self._running.discard(attempt)
            if attempt.started is not None:
                self._mean += (self._clock.monotonic() - attempt.started - self._mean) * 0.1
            self._awaited -= 1
            if not self._awaited:
                self._short_ended.set()
        self._ring()

    def _expire(self) -> None:
        """Settle the attempts whose deadline has passed while their function still runs."""
        now = self._clock.monotonic()
        while True:
            with self._lock:
                if not self._deadlines or self._deadlines[0][0] > now:
                    return
                attempt = heapq.heappop(self._deadlines)[2]
            if attempt.settle():
                self._finished.append((attempt, self._runner.expire(attempt)))
                attempt.cancel()


class InlineExecutor:
    """Runs attempts on the thread that collects them, with its connection: for tests and for draining."""

    def __init__(self, runner: ActivityRunner, *, clock: Clock) -> None:
        self._runner = runner
        self._clock = clock
        self._queue: deque[Attempt] = deque()

    def free(self) -> int:
        return INLINE_SLOTS - len(self._queue)

    def submit(self, attempts: list[Attempt]) -> None:
        self._queue.extend(attempts)

    def wait_for_short(self) -> None:
        """Nothing runs beside the caller."""

    def collect(self) -> list[Finished]:
        found: list[Finished] = []
        while self._queue:
            attempt = self._queue.popleft()
            found.append((attempt, self._run(attempt)))
        return found

    def _run(self, attempt: Attempt) -> Outcome:
        resolved = self._runner.resolve(attempt)
        if isinstance(resolved, Finish | Defer | Drop):
            return resolved
        self._runner.begin(attempt)
        return self._runner.run_in_thread(attempt, resolved)

    def recall(self, queued_before: float) -> list[Attempt]:
        old = [attempt for attempt in self._queue if attempt.queued <= queued_before]
        self._queue = deque(attempt for attempt in self._queue if attempt.queued > queued_before)
        return old

    def next_deadline(self) -> float | None:
        return None

    def abandon(self) -> list[Attempt]:
        return []

    def close(self) -> None:
        """Nothing to end."""


class _Threads:
    """Threads started when needed, up to a number, and then reused.

    `_idle` counts the threads that wait, less the work that waits for one.
    """

    def __init__(self, most: int, run: Callable[[Attempt, RunnableActivity], None]) -> None:
        self._most = most
        self._run = run
        self._changed = threading.Condition()
        self._work: SimpleQueue[tuple[Attempt, RunnableActivity] | None] = SimpleQueue()
        self._started = 0
        self._running = 0
        self._idle = 0

    def put(self, work: tuple[Attempt, RunnableActivity]) -> None:
        """Have one thread run this."""
        self._work.put(work)
        with self._changed:
            self._idle -= 1
            if self._idle >= 0 or self._started >= self._most:
                return
            self._started += 1
            self._idle += 1
        self._start()

    def idle(self) -> None:
        """Note that the calling thread is about to wait for work."""
        with self._changed:
            self._idle += 1

    def close(self) -> None:
        """End the threads; return once those have closed their connections that have nothing to run."""
        with self._changed:
            for _ in range(self._started):
                self._work.put(None)
            self._changed.wait_for(lambda: self._started <= self._running, CLOSING_SECONDS)

    def _start(self) -> None:
        threading.Thread(target=self._main, name="durable-activity", daemon=True).start()

    def _main(self) -> None:
        ended = False
        try:
            while (work := self._work.get()) is not None:
                self._note_running(1)
                self._run(*work)
                self._note_running(-1)
            ended = True
        finally:
            connections.close_all()
            if ended:
                with self._changed:
                    self._started -= 1
                    self._changed.notify_all()
            else:
                # An error of this module's own ends the thread; the work it would have taken next needs another one.
                self._note_running(-1)
                self._start()

    def _note_running(self, change: int) -> None:
        with self._changed:
            self._running += change
