"""Runs generators: what they yield is folded and stored, and what it is folded into is their result.

An attempt begins with what the attempts before it have stored, folded anew, so that the state and the stream agree. It
ends with everything stored, before its outcome is recorded: an attempt that comes too late to record it, or dies
between the two, leaves a state for the next one to go on from.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import suppress
from typing import Any

from asgiref.sync import sync_to_async

from ..codec import JsonCodec
from ..engine.driving import advance
from ..engine.errors import DurableError, InvalidArgument
from ..engine.reducing import Reduction
from ..store import connections
from ..store.partials import load_partials, partials_of
from .attempts import Attempt
from .partials import Buffer, PartialsWriter

ROOM_SECONDS = 0.05
"""How often a generator that waits for room looks whether it shall stop."""


_IN_TRANSACTION = (
    "The generator yielded inside transaction.atomic(). A partial result is stored at once, in another transaction, "
    "and would stay if this one rolled back. Yield after the block."
)


class Unstored(Exception):
    """The database failed while partial results were read or written; the generator is not at fault."""


class Generating:
    """One attempt of a generator.

    Args:
        overdue: Tells whether its time is up.
    """

    def __init__(
        self,
        attempt: Attempt,
        function: Callable[..., Any],
        reduction: Reduction,
        *,
        codec: JsonCodec,
        writer: PartialsWriter,
        overdue: Callable[[], bool],
        using: str,
    ) -> None:
        self._attempt = attempt
        self._function = function
        self._reduction = reduction
        self._codec = codec
        self._writer = writer
        self._overdue = overdue
        self._using = using
        self._state: Any = None
        self._buffer: Buffer | None = None

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Run it on this thread to its end, and return the last state.

        Raises: Unstored. CancelledError: it was to stop. TimeoutError: its time is up. What the generator raises.
        """
        generator: Generator[Any, Any, Any] = self._begin(args, kwargs)
        stored = False
        try:
            self._drive(generator)
            self._store()
            stored = True
        finally:
            self._end(stored)
        return self._state

    def _drive(self, generator: Generator[Any, Any, Any]) -> None:
        sent, inside = None, connections.in_transaction(self._using)
        try:
            while True:
                try:
                    partial = advance(generator, sent)
                except StopIteration as stop:
                    return _refuse_result(stop.value)
                if not inside and connections.in_transaction(self._using):
                    raise InvalidArgument(_IN_TRANSACTION)
                sent = self._take(partial)
                if self._buffer is not None and self._buffer.at_once:
                    self._store()
                self._check_time()
                while self._buffer is not None and self._buffer.is_full:
                    self._buffer.wait_for_room(ROOM_SECONDS)
                    self._check_time()
        finally:
            generator.close()

    def _check_time(self) -> None:
        if self._attempt.cancel_requested:
            raise asyncio.CancelledError
        if self._overdue():
            raise TimeoutError

    async def arun(self, *args: Any, **kwargs: Any) -> Any:
        """Async twin of `run`; where it is to stop, or out of time, the running task is canceled."""
        generator: AsyncGenerator[Any, Any] = await sync_to_async(self._begin)(args, kwargs)
        stored = False
        try:
            await self._adrive(generator)
            await sync_to_async(self._store)()
            stored = True
        finally:
            await sync_to_async(self._end)(stored)
        return self._state

    async def _adrive(self, generator: AsyncGenerator[Any, Any]) -> None:
        sent = None
        try:
            while True:
                try:
                    partial = await generator.asend(sent)
                except StopAsyncIteration:
                    return
                sent = self._take(partial)
                if self._buffer is not None and self._buffer.at_once:
                    await sync_to_async(self._store)()
                while self._buffer is not None and self._buffer.is_full:
                    await asyncio.sleep(ROOM_SECONDS)
        finally:
            await generator.aclose()

    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the generator, called with the state that there is."""
        bound = inspect.signature(self._function).bind(*args, **kwargs)
        bound.apply_defaults()
        self._state = self._copied(bound.arguments[self._reduction.parameter])
        self._resume()
        bound.arguments[self._reduction.parameter] = self._state
        return self._function(*bound.args, **bound.kwargs)

    def _resume(self) -> None:
        key = self._attempt.task.key
        try:
            if (found := partials_of(key, using=self._using)) is None:
                return  # It was scheduled when it still returned.
            for payload in load_partials(key, found, using=self._using):
                self._fold(payload)
        except connections.DatabaseFault as error:
            raise Unstored from error
        self._buffer = self._writer.open(self._attempt, found.stream)

    def _copied(self, initial: Any) -> Any:
        """Return the state as if it had been stored: what the code gave is not to be changed by the reducer."""
        return None if initial is None else self._codec.decode(self._codec.encode(initial), self._reduction.state)

    def _take(self, partial: Any) -> Any:
        """Fold what was yielded, as it is stored. Raises: PayloadError. As `Buffer.put`: stop."""
        payload = self._codec.encode(partial, "The partial result")
        if self._buffer is not None:
            self._buffer.put(self._codec.seal_like(self._attempt.task.input, payload))
        return self._fold(payload)

    def _fold(self, payload: str) -> Any:
        partial = self._codec.decode(payload, self._reduction.partial, "The partial result")
        self._state = self._reduction.reducer(self._state, partial)
        return self._state

    def _store(self) -> None:
        try:
            if self._buffer is not None:
                self._buffer.flush()
        except connections.DatabaseFault as error:
            raise Unstored from error

    def _end(self, stored: bool) -> None:
        """Store what can be stored of an attempt that ends badly, and close the buffer."""
        if not stored:
            with suppress(Unstored, DurableError):
                self._store()
        if self._buffer is not None:
            self._writer.close(self._buffer)


def _refuse_result(value: Any) -> None:
    if value is not None:
        raise InvalidArgument(
            f"The generator returned {value!r:.80}. The result of a generator is what its partial results are folded "
            f"into; yield it."
        )
