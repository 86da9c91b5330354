"""A state machine of hypothesis: callers, operators, workers, crashes and time, in any order.

Everything runs on one connection inside a transaction that is rolled back after each example. Workers make one round at
a time, so their rounds interleave; one may die at any of its writes, or be left alone beyond its leases and come back.
Time stands still but for the rules that move it.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from django_durable import IllegalTransition, InstanceAlreadyExists, InstanceNotFound, InvalidArgument
from django_durable.client import Client
from django_durable.engine.states import TERMINAL, Move, sources
from django_durable.registry import Registry
from django_durable.store.records import TagFilter
from django_durable.testing.clock import StandingClock
from django_durable.worker import Worker
from tests.conformance.test_crashes import CrashError, Crashes

from . import invariants
from .script import STYLES, Message, Model, register

IDS = st.sampled_from(["a", "b", "c"])
WORKERS = st.sampled_from(["one", "two"])
LEASE = timedelta(seconds=30)
START = datetime(2030, 1, 1, tzinfo=UTC)
LABELLED = ("note", "write", "child", "flaky", "many", "kv", "status")
VERBS = st.sampled_from([*LABELLED, *LABELLED, "sleep", "event", "again", "again", "return", "fail"])
JUMPS = st.sampled_from([timedelta(seconds=1), timedelta(seconds=6), LEASE + timedelta(seconds=1), timedelta(hours=1)])


class Lives(RuleBasedStateMachine):
    """Instances a, b and c, and two workers."""

    @initialize()
    def begin(self) -> None:
        self._open = contextlib.ExitStack()
        self._open.enter_context(transaction.atomic())
        self._labels = 0
        self.models: dict[str, Model] = {}
        self.called_again: list[str] = []
        self.histories: dict[tuple[int, int], list[Any]] = {}
        self.clock = StandingClock(START)
        self.registry = Registry()
        register(self.registry, self._note_call)
        self.client = Client(self.registry, clock=self.clock.now)
        self.workers = {name: self._new_worker(name) for name in ("one", "two")}

    def teardown(self) -> None:
        try:
            self.settle()
            self.delete_all()
        finally:
            for worker in self.workers.values():
                worker.close()
            transaction.set_rollback(True)
            self._open.close()

    # Callers.

    @rule(key=IDS, style=st.sampled_from(STYLES), input=st.sampled_from([None, 1]))
    def start(self, key: str, style: str, input: Any) -> None:
        model, name = self.models.get(key), f"script.{style}"
        if model is None:
            self.client.start_orchestration(key, name, {"input": input})
            self.models[key] = Model(style, input)
        elif (model.style, model.input) == (style, input):
            self.client.start_orchestration(key, name, {"input": input})
        else:
            self._refused(InstanceAlreadyExists, self.client.start_orchestration, key, name, {"input": input})

    @rule(key=IDS, verbs=st.lists(VERBS, min_size=1, max_size=4))
    def tell(self, key: str, verbs: list[str]) -> None:
        for verb in verbs:
            message: Message = [verb, self._label()] if verb in LABELLED else [verb]
            if self._accepts(key, self.client.enqueue_event, key, "box", message):
                self.models[key].sent.append(message)

    @rule(key=IDS)
    def raise_event(self, key: str) -> None:
        event = self._label()
        if self._accepts(key, self.client.raise_event, key, "go", event):
            self.models[key].events.append(event)

    # Operators.

    @rule(key=IDS)
    def cancel(self, key: str) -> None:
        if self._accepts(key, self.client.cancel_instance, key):
            self.models[key].loose = True

    @rule(key=IDS)
    def terminate(self, key: str) -> None:
        if self._moves(Move.TERMINATE, key, self.client.terminate_instance):
            assert self._status(key) == "Terminated"

    @rule(key=IDS)
    def suspend(self, key: str) -> None:
        if self._moves(Move.SUSPEND, key, self.client.suspend_instance):
            assert self._status(key) == "Suspended"

    @rule(key=IDS)
    def resume(self, key: str) -> None:
        if self._moves(Move.RESUME, key, self.client.resume_instance):
            assert self._status(key) in ("Pending", "Running")

    @rule(key=IDS)
    def retry(self, key: str) -> None:
        if self._status(key) in sources(Move.RETRY):
            with contextlib.suppress(InvalidArgument, IllegalTransition):
                self.client.retry_instance(key)
                self.models[key].loose = True
        elif key in self.models:
            self._refused(IllegalTransition, self.client.retry_instance, key)

    @rule(key=IDS, force=st.booleans())
    def delete(self, key: str, force: bool) -> None:
        if key not in self.models:
            self._refused(InstanceNotFound, self.client.delete_instance, key, force)
        elif force or self._status(key) in TERMINAL:
            self._delete(key)
        else:
            self._refused(IllegalTransition, self.client.delete_instance, key, force)

    # Workers, crashes and time.

    @rule(name=WORKERS, rounds=st.integers(1, 6))
    def work(self, name: str, rounds: int) -> None:
        self._rounds(name, rounds)

    @rule(name=WORKERS, at=st.integers(0, 30), comes_back=st.booleans())
    def crash(self, name: str, at: int, comes_back: bool) -> None:
        """A worker dies at a write. One that comes back under its name frees what it had."""
        crashes = Crashes(at)
        with contextlib.suppress(CrashError), connection.execute_wrapper(crashes):
            self._rounds(name, 20)
        if crashes.happened:
            self._replace(name)
        if comes_back:
            self.workers[name]._register()

    @rule(name=WORKERS)
    def drop(self, name: str) -> None:
        """A worker dies between two rounds, with all that it had in memory."""
        self._replace(name)

    @rule(by=JUMPS)
    def pass_time(self, by: timedelta) -> None:
        self.clock.advance(by)

    @rule()
    @precondition(lambda self: self.models)
    def settle(self) -> None:
        """Let everything come to rest; then each instance has come to what the model says."""
        self.clock.advance(LEASE + timedelta(seconds=1))
        busy = True
        while busy:
            busy = any([self._rounds(name, 1_000) for name in self.workers])  # noqa: C419 - all of them work
            due = self.workers["one"].next_due()
            if not busy and due is not None:
                self.clock.advance_to(due)
                busy = True
        for key, model in self.models.items():
            invariants.check_outcome(self.client, key, model)

    # Invariants.

    @invariant()
    def nothing_that_completed_is_called_again(self) -> None:
        assert not self.called_again

    @invariant()
    def the_tables_are_whole(self) -> None:
        if hasattr(self, "models"):
            invariants.check_tables(self.models)

    @invariant()
    def histories_only_grow(self) -> None:
        if hasattr(self, "models"):
            self.histories = invariants.grown(self.histories)

    # Helpers.

    def delete_all(self) -> None:
        for key in list(self.models):
            self._delete(key)
        invariants.check_empty()

    def _delete(self, key: str) -> None:
        self.client.delete_instance(key, force=True)
        del self.models[key]
        invariants.check_only(self.models)

    def _label(self) -> str:
        self._labels += 1
        return f"l{self._labels}"

    def _status(self, key: str) -> str | None:
        return self.client.get_instance_info(key).runtime_status if key in self.models else None

    def _accepts(self, key: str, act: Any, *args: Any) -> bool:
        """Do what only a living instance takes. Returns: whether it was taken."""
        if key not in self.models:
            return self._refused(InstanceNotFound, act, *args)
        if self._status(key) in TERMINAL:
            return self._refused(IllegalTransition, act, *args)
        act(*args)
        return True

    def _moves(self, move: Move, key: str, act: Any) -> bool:
        """Do what is legal in some statuses. Returns: whether it was."""
        if key not in self.models:
            return self._refused(InstanceNotFound, act, key)
        if self._status(key) not in sources(move):
            return self._refused(IllegalTransition, act, key)
        act(key)
        return True

    def _refused(self, error: type[Exception], act: Any, *args: Any) -> bool:
        try:
            act(*args)
        except error:
            return False
        raise AssertionError(f"{act.__name__}{args} was not refused with {error.__name__}.")

    def _rounds(self, name: str, rounds: int) -> bool:
        """Let a worker make so many rounds at most. Returns: whether it had something to do."""
        try:
            return self.workers[name].drain(rounds) > 0
        except InvalidArgument:
            return True

    def _replace(self, name: str) -> None:
        self.workers[name].close()
        self.workers[name] = self._new_worker(name)

    def _new_worker(self, name: str) -> Worker:
        return Worker(self.registry, clock=self.clock, worker_id=name, tags=TagFilter.ANY, lease=LEASE)

    def _note_call(self, ctx: Any) -> None:
        """Note a call of an activity that has completed, unless the worker was away for longer than its lease."""
        attempt = ctx._attempt
        away = self.clock.monotonic() - attempt.queued >= LEASE.total_seconds()
        if not away and invariants.has_completed(attempt.task.key):
            self.called_again.append(f"{ctx.activity_name} of {ctx.instance_id}: {attempt.task.key}")
