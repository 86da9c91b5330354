"""Runs one attempt of one activity: rule out, look up, call, decide.

The author's function is called in `_call` and nowhere else; whatever it does becomes one `Ending` there. `_call` is a
coroutine because of `async def` activities. A plain function never suspends in it, so a thread drives it to its end
with one step and no event loop is running while the function does (Django would refuse its ORM calls otherwise).

Atomic activities run inside one transaction with the record of their completion. The lease is checked when it begins
and, by the guarded write of the completion, when it ends: a worker that lost the lease rolls the business writes back.
The row is not locked in between, so that the lease can be renewed, and the activity canceled, while the function runs.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from random import random as draw
from typing import Any, TypeVar

from asgiref.sync import SyncToAsync, ThreadSensitiveContext, async_to_sync, sync_to_async

from ..codec import JsonCodec
from ..engine.errors import CodecError, LeaseLost, PayloadError, StreamClosed
from ..engine.failures import Failure
from ..store import activities, connections
from ..store.transactions import write_transaction
from .attempts import Attempt
from .clock import Clock
from .context import ActivityContext
from .generating import Generating, Unstored
from .lookup import ActivityLookup, RunnableActivity
from .loopthread import canceler
from .outcomes import (
    AlreadyRecorded,
    Canceled,
    Defer,
    Drop,
    Ending,
    Finish,
    Hindered,
    Interrupted,
    Outcome,
    Raised,
    Returned,
    TimedOut,
    attempt_limit,
    decide,
    deferral,
    refusal,
    timeout_failure,
)
from .partials import PartialsWriter
from .streaming import ActivityStreams
from .tracing import NoTracing

T = TypeVar("T")


class _RolledBack(Exception):
    """Carries the ending of an atomic activity out of the transaction that must not commit."""

    def __init__(self, ending: Ending) -> None:
        self.ending = ending


class ActivityRunner:
    """Runs attempts. Shared by all threads of a worker; holds no state of its own."""

    def __init__(
        self,
        lookup: ActivityLookup,
        *,
        codec: JsonCodec,
        client: Callable[[], Any],
        clock: Clock,
        worker_id: str,
        max_deliveries: int,
        using: str,
        partials: PartialsWriter,
        tracing: NoTracing | None = None,
        random: Callable[[], float] = draw,
    ) -> None:
        self._lookup = lookup
        self._codec = codec
        self._client = client
        self._clock = clock
        self._worker_id = worker_id
        self._max_deliveries = max_deliveries
        self._using = using
        self._partials = partials
        self._tracing = tracing or NoTracing()
        self._random = random

    def resolve(self, attempt: Attempt) -> RunnableActivity | Finish | Defer | Drop:
        """Return what to run, or why not to run it."""
        task, now = attempt.task, self._clock.now()
        if attempt.cancel_requested:
            return Drop()
        refused = refusal(task, worker_id=self._worker_id, max_deliveries=self._max_deliveries, now=now)
        return refused or self._runnable(attempt) or deferral(task, now)

    def _runnable(self, attempt: Attempt) -> RunnableActivity | None:
        try:
            self._codec.check(attempt.task.input)
        except CodecError:
            return None
        return attempt.step or self._lookup(attempt.task.name)

    def begin(self, attempt: Attempt) -> None:
        """Start the clock of an attempt. Call it right before one of the `run` methods."""
        now = self._clock.now()
        attempt.begin(now, self._clock.monotonic(), attempt_limit(attempt.task, now))

    def run_in_thread(self, attempt: Attempt, activity: RunnableActivity) -> Outcome:
        """Run an attempt to its end on this thread, in a context of its own. Connections are the caller's care."""
        return attempt.context.run(self._run_in_thread, attempt, activity)

    def _run_in_thread(self, attempt: Attempt, activity: RunnableActivity) -> Outcome:
        if activity.atomic:
            ending = self._perform_atomically(attempt, activity)
        else:
            ending = _to_the_end(self._call(attempt, activity), suspends=activity.is_async)
        return self._decide(attempt, ending)

    async def run_on_loop(self, attempt: Attempt, activity: RunnableActivity) -> Outcome:
        """Run an attempt of an `async def` on the running loop, with a thread of its own for its ORM calls."""
        async with ThreadSensitiveContext() as scope:
            ending = await self._call(attempt, activity)
            if scope in SyncToAsync.context_to_thread_executor:
                await sync_to_async(connections.close_all)()
        return self._decide(attempt, ending)

    def expire(self, attempt: Attempt) -> Outcome:
        """Return the outcome of an attempt whose deadline passed while its function is still running."""
        self._tracing.expired(attempt)
        return self._decide(attempt, TimedOut(timeout_failure(attempt.task, attempt.limit_ms)))

    async def _call(self, attempt: Attempt, activity: RunnableActivity) -> Ending:
        with self._tracing.attempt(attempt) as traced:
            return traced.ended(await self._called(attempt, activity))

    async def _called(self, attempt: Attempt, activity: RunnableActivity) -> Ending:
        """Call the author's function. The only place that does."""
        scope: asyncio.Timeout | None = None
        try:
            args, kwargs = activity.decode_call(attempt.task.input)
            args, kwargs = await self._streams(attempt, activity).fill_in(activity, args, kwargs)
            if activity.takes_context:
                args = (self._context(attempt), *args)
            if activity.is_async:
                scope = self._limit(attempt)
                async with scope:
                    generating = self._generating(attempt, activity)
                    value = await (generating.arun if generating else activity.function)(*args, **kwargs)
            else:
                generating = self._generating(attempt, activity)
                value = (generating.run if generating else activity.function)(*args, **kwargs)
                if attempt.step is not None and inspect.isawaitable(value):
                    value = async_to_sync(self._await)(attempt, value)
            if attempt.overdue(self._clock.monotonic()):
                return TimedOut(timeout_failure(attempt.task, attempt.limit_ms))
            return Returned(self._codec.seal_like(attempt.task.input, activity.encode_result(value)))
        except PayloadError as error:
            return Raised(Failure.of(error), final=True)
        except Unstored as error:
            return Hindered(Failure.of(error.__cause__ or error))
        except BaseException as error:  # Author code that exits ends its attempt, not the worker.
            if isinstance(error, TimeoutError) and self._ran_out(attempt, activity, scope):
                return TimedOut(timeout_failure(attempt.task, attempt.limit_ms))
            if isinstance(error, asyncio.CancelledError) and attempt.cancel_requested:
                return Canceled()
            return Raised(Failure.of(error), hindered=connections.hinders(error))

    def _ran_out(self, attempt: Attempt, activity: RunnableActivity, scope: asyncio.Timeout | None) -> bool:
        if scope is not None:
            return scope.expired()
        may_be_told = attempt.step is not None or activity.reduction is not None
        return may_be_told and attempt.overdue(self._clock.monotonic())

    def _generating(self, attempt: Attempt, activity: RunnableActivity) -> Generating | None:
        if activity.reduction is None:
            return None
        return Generating(
            attempt,
            activity.function,
            activity.reduction,
            codec=self._codec.plain,
            writer=self._partials,
            overdue=lambda: attempt.overdue(self._clock.monotonic()),
            using=self._using,
        )

    async def _await(self, attempt: Attempt, value: Awaitable[Any]) -> Any:
        """Wait for what a local step returned instead of a result, as a lambda around a coroutine does."""
        attempt.on_cancel = canceler()
        async with self._limit(attempt):
            return await value

    def _limit(self, attempt: Attempt) -> asyncio.Timeout:
        if attempt.deadline is None:
            return asyncio.timeout(None)
        return asyncio.timeout(max(attempt.deadline - self._clock.monotonic(), 0.0))

    def _perform_atomically(self, attempt: Attempt, activity: RunnableActivity) -> Ending:
        task = attempt.task
        opened: object = None
        try:
            with write_transaction(self._using):
                if activities.find_lost({task.key: task.lease_token}, using=self._using):
                    return Canceled()
                opened = connections.current(self._using)
                ending = _to_the_end(self._call(attempt, activity), suspends=activity.is_async)
                outcome = self._decide(attempt, ending)
                if not isinstance(ending, Returned) or not isinstance(outcome, Finish):
                    raise _RolledBack(ending)
                if attempt.unsent:
                    self._flush(attempt, activity)
                activities.finish_activity_in_transaction(
                    task.key,
                    task.lease_token,
                    outcome.fact,
                    self._clock.now(),
                    spans=attempt.owned_spans(),
                    using=self._using,
                )
        except _RolledBack as rolled_back:
            ending = rolled_back.ending
            # An error that the function got because its connection was cut, or the disk is full, is not its own.
            if isinstance(ending, Raised) and ending.hindered and self._is_open(opened):
                return Hindered(ending.failure)
            return ending if self._is_open(opened) else Interrupted(called=True)
        except LeaseLost:
            return Canceled()
        except connections.DatabaseFault as error:
            # What the function wrote did not survive the commit: a deferred constraint, or the database went away.
            if connections.hinders(error) and self._is_open(opened):
                return Hindered(Failure.of(error))
            return Raised(Failure.of(error)) if self._is_open(opened) else Interrupted(called=opened is not None)
        return AlreadyRecorded()

    def _is_open(self, opened: object) -> bool:
        """Tell whether a connection is still the one that this thread uses."""
        return opened is not None and connections.current(self._using) is opened

    def _flush(self, attempt: Attempt, activity: RunnableActivity) -> None:
        try:
            self._streams(attempt, activity).flush()
        except StreamClosed as closed:
            raise _RolledBack(Raised(Failure.of(closed))) from closed

    def _streams(self, attempt: Attempt, activity: RunnableActivity) -> ActivityStreams:
        return ActivityStreams(
            attempt,
            atomic=activity.atomic,
            codec=self._codec,
            client=self._client,
            clock=self._clock,
            using=self._using,
        )

    def _context(self, attempt: Attempt) -> ActivityContext:
        return ActivityContext(attempt, worker_id=self._worker_id, client=self._client, codec=self._codec)

    def _decide(self, attempt: Attempt, ending: Ending) -> Outcome:
        now = self._clock.now()
        return decide(
            attempt.task,
            ending,
            worker_id=self._worker_id,
            started_at=attempt.started_at or now,
            now=now,
            random=self._random(),
        )


def _to_the_end(coroutine: Coroutine[Any, Any, T], *, suspends: bool) -> T:
    """Run a coroutine on this thread: on an event loop of its own if it suspends, else with a single step."""
    if suspends:

        async def wait() -> T:
            return await coroutine

        return async_to_sync(wait)()
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise AssertionError("An activity that is not a coroutine function suspended.")
