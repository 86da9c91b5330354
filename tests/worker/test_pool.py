"""Threads, the event loop, slots and the queue before them."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from django_durable.engine.events import ActivityCompleted
from django_durable.registry import Registry
from django_durable.store.records import ClaimedTask, TaskKey
from django_durable.testing.clock import FakeClock
from django_durable.worker.attempts import Attempt
from django_durable.worker.executor import ActivityRunner
from django_durable.worker.instrumentation import Instrumentation
from django_durable.worker.outcomes import Drop, Finish, HandBack, Outcome
from django_durable.worker.partials import PartialsWriter
from django_durable.worker.pool import BUFFER_SECONDS, SHORT_SECONDS, ThreadedExecutor

from .support import PATIENCE

STATE: contextvars.ContextVar[str] = contextvars.ContextVar("state", default="clean")


class Pool:
    """An executor with two slots, and the means to wait for what it does."""

    def __init__(self, registry: Registry, short: float = SHORT_SECONDS) -> None:
        self.registry = registry
        self.clock = FakeClock()
        self.rung = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        runner = ActivityRunner(
            lambda name: registry.get_activity(name),
            codec=registry.codec,
            client=lambda: None,
            clock=self.clock,
            worker_id="w",
            max_deliveries=10,
            using="default",
            partials=PartialsWriter(
                clock=self.clock, instrumentation=Instrumentation("w"), using="default", at_once=False
            ),
        )
        self.runner = runner
        self.executor = ThreadedExecutor(runner, slots=2, clock=self.clock, ring=self.rung.release, short=short)
        self.seq = 0

    def attempt(self, name: str, start_to_close_ms: int | None = None) -> Attempt:
        self.seq += 1
        task = ClaimedTask(
            key=TaskKey(1, 1, self.seq),
            instance_id="order-7",
            orchestration="checkout",
            version="1.0.0",
            name=name,
            input="null",
            tag=None,
            session_id=None,
            attempt=1,
            deliveries=1,
            retry=None,
            start_to_close_ms=start_to_close_ms,
            expires_at=None,
            failures=[],
            heartbeat=None,
            lease_token=1,
            created_at=datetime.now(UTC),
        )
        return Attempt(task, self.clock.monotonic())

    def submit(self, *names: str) -> list[Attempt]:
        attempts = [self.attempt(name) for name in names]
        self.executor.submit(attempts)
        return attempts

    def collect(self, number: int) -> list[tuple[Attempt, Outcome]]:
        """Wait for so many attempts to end."""
        found: list[tuple[Attempt, Outcome]] = []
        while len(found) < number:
            assert self.rung.acquire(timeout=PATIENCE)
            found += self.executor.collect()
        return found

    def results(self, *names: str) -> list[str]:
        """Run activities one after the other and return their results."""
        found = []
        for name in names:
            self.submit(name)
            ((_, outcome),) = self.collect(1)
            assert isinstance(outcome, Finish), outcome
            assert isinstance(outcome.fact, ActivityCompleted), outcome.fact
            found.append(outcome.fact.result)
        return found


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool(Registry())
    yield pool
    pool.executor.close()


@pytest.fixture
def gate(pool: Pool) -> Iterator[threading.Event]:
    """Register an activity `gate` that ends when the event is set."""
    opened = threading.Event()
    pool.registry.activity("gate")(waits_for(pool.begun, opened))
    yield opened
    opened.set()


def waits_for(begun: threading.Semaphore, opened: threading.Event) -> Callable[[], None]:
    def gate() -> None:
        begun.release()
        assert opened.wait(PATIENCE)

    return gate


def test_each_attempt_is_collected_once(pool: Pool) -> None:
    pool.registry.activity("it")(nothing)
    attempts = pool.submit(*["it"] * 20)

    assert {attempt for attempt, _ in pool.collect(20)} == set(attempts)
    assert pool.executor.collect() == []


def nothing() -> None:
    return None


def test_no_event_loop_runs_while_a_plain_function_does(pool: Pool) -> None:
    @pool.registry.activity("it")
    def it() -> bool:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return True
        return False

    assert pool.results("it") == ["true"]


@pytest.mark.parametrize("is_async", [False, True])
def test_nothing_leaks_from_one_attempt_into_the_next(pool: Pool, is_async: bool) -> None:
    def look() -> str:
        found = STATE.get()
        STATE.set("dirty")
        return found

    async def look_async() -> str:
        return look()

    pool.registry.activity("look")(look_async if is_async else look)

    assert pool.results("look", "look", "look") == ['"clean"'] * 3


def test_slots_are_all_that_is_free_while_it_is_unknown_how_long_attempts_take(
    pool: Pool, gate: threading.Event
) -> None:
    assert pool.executor.free() == 2
    pool.submit("gate")
    assert pool.executor.free() == 1
    pool.submit("gate", "gate", "gate")
    assert pool.executor.free() == 0


def test_the_queue_is_longer_the_quicker_attempts_are_and_empty_behind_slow_ones(
    pool: Pool, gate: threading.Event
) -> None:
    pool.registry.activity("it")(nothing)
    pool.submit(*["it"] * 100)
    pool.collect(100)
    assert pool.executor.free() > 10

    pool.submit("gate", "gate")
    for _ in range(2):
        assert pool.begun.acquire(timeout=PATIENCE)
    pool.clock.advance(timedelta(seconds=2 * BUFFER_SECONDS))
    assert pool.executor.free() == 0


@pytest.fixture
def patient() -> Iterator[Pool]:
    """A pool to which everything is short that takes less than a test may."""
    pool = Pool(Registry(), short=PATIENCE)
    pool.registry.activity("it")(nothing)
    yield pool
    pool.executor.close()


def test_short_attempts_are_waited_for_and_collected_together(patient: Pool) -> None:
    attempts = patient.submit(*["it"] * 20)
    patient.executor.wait_for_short()

    assert {attempt for attempt, _ in patient.executor.collect()} == set(attempts)


def test_nothing_is_waited_for_where_nothing_has_just_begun(patient: Pool) -> None:
    opened = threading.Event()
    patient.registry.activity("gate")(waits_for(patient.begun, opened))
    patient.submit("gate")
    assert patient.begun.acquire(timeout=PATIENCE)
    patient.clock.advance(timedelta(seconds=PATIENCE))
    begun = time.monotonic()
    patient.executor.wait_for_short()
    opened.set()
    patient.collect(1)
    patient.executor.wait_for_short()

    assert time.monotonic() - begun < PATIENCE


def test_attempts_that_wait_for_long_can_be_taken_back(pool: Pool, gate: threading.Event) -> None:
    running = pool.submit("gate", "gate")
    waiting = pool.submit("gate", "gate")

    assert pool.executor.recall(pool.clock.monotonic() - 1) == []
    assert pool.executor.recall(pool.clock.monotonic()) == waiting

    gate.set()
    assert {attempt for attempt, _ in pool.collect(2)} == set(running)


def test_what_an_abandoned_attempt_returns_is_dropped(pool: Pool, gate: threading.Event) -> None:
    (attempt,) = pool.submit("gate")

    assert pool.executor.abandon() == [attempt]
    assert attempt.cancel_requested
    gate.set()
    assert pool.rung.acquire(timeout=PATIENCE)
    assert pool.executor.collect() == []


def test_a_slot_stays_taken_while_the_thread_of_a_timed_out_attempt_is_busy(pool: Pool, gate: threading.Event) -> None:
    attempt = pool.attempt("gate", start_to_close_ms=1000)
    pool.executor.submit([attempt])
    assert pool.rung.acquire(timeout=PATIENCE)
    deadline = pool.executor.next_deadline()
    assert deadline is not None
    assert deadline > pool.clock.monotonic()

    pool.clock.advance(timedelta(seconds=1))
    ((ended, outcome),) = pool.executor.collect()

    assert ended is attempt
    assert isinstance(outcome, Finish)
    assert attempt.cancel_requested
    assert pool.executor.free() == 1
    assert pool.executor.next_deadline() is None


def test_a_canceled_attempt_that_has_not_started_is_dropped(pool: Pool, gate: threading.Event) -> None:
    pool.submit("gate", "gate")
    (waiting,) = pool.submit("gate")
    waiting.cancel()
    gate.set()

    assert dict(pool.collect(3))[waiting] == Drop()


def test_a_task_of_the_authors_that_exits_does_not_end_the_loop(pool: Pool) -> None:
    @pool.registry.activity("stray")
    async def stray() -> str:
        async def leave() -> None:
            raise SystemExit(3)

        task = asyncio.create_task(leave())
        try:
            await task
        except SystemExit:
            return "caught"
        return "not caught"

    assert pool.results("stray", "stray") == ['"caught"'] * 2


def test_an_error_of_the_runner_itself_hands_the_task_back_and_the_pool_goes_on(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool.registry.activity("it")(nothing)
    reported = threading.Semaphore(0)
    monkeypatch.setattr(threading, "excepthook", lambda _: reported.release())
    real = pool.runner.run_in_thread
    broken = iter([True, True, True])

    def failing(*arguments: Any) -> Outcome:
        if next(broken, False):
            raise RuntimeError("a defect")
        return real(*arguments)

    monkeypatch.setattr(pool.runner, "run_in_thread", failing)
    pool.submit(*["it"] * 9)
    outcomes = [outcome for _, outcome in pool.collect(9)]

    for _ in range(3):
        assert reported.acquire(timeout=PATIENCE)
    assert outcomes.count(HandBack()) == 3
    assert sum(isinstance(outcome, Finish) for outcome in outcomes) == 6
