"""What orchestration code yields or awaits.

Every verb returns a `DurableFuture`; `all` and `race` return futures over futures and nest. Canceling one takes its
command back: the activity or child is canceled, the timer or subscription removed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .arguments import checked_text
from .commands import Command, CreatePromise, ScheduleActivity
from .durations import Duration, milliseconds
from .errors import InvalidArgument
from .failures import text_of
from .loop import OrchestrationFuture, OrchestrationLoop
from .retry import RetryPolicy

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")
LONGEST_SESSION_ID = 255
LONGEST_STREAM_NAME = 255


class CommandHost(Protocol):
    """Who records commands; the program."""

    def withdraw(self, command: Command) -> None:
        """Take a command back: forget it if it is not recorded yet, else issue its cancellation."""

    def check_tag(self, tag: object) -> None:
        """Raise InvalidArgument or LimitExceeded for a tag that is empty or too long."""


class DurableFuture(OrchestrationFuture[T]):
    """The outcome of one command. `decode` makes the value of the recorded payload."""

    def __init__(
        self,
        *,
        loop: OrchestrationLoop,
        host: CommandHost | None = None,
        command: Command | None = None,
        decode: Callable[[Any], T] | None = None,
        what: str = "",
    ) -> None:
        super().__init__(loop=loop)
        self.command = command
        self.what = what
        self._host = host
        self._decode = decode

    def with_tag(self, tag: str) -> DurableFuture[T]:
        """Route this activity to workers that serve `tag`.

        Raises:
            InvalidArgument: not an activity, or the code has been suspended since it was scheduled.
            LimitExceeded: the tag is over 256 bytes.
        """
        command = self._refinable("with_tag")
        if self._host is not None:
            self._host.check_tag(tag)
        command.tag = tag
        return self

    def on_session(self, session_id: str) -> DurableFuture[T]:
        """Run this activity on the worker that owns `session_id`. Raises: as `with_tag`."""
        command = self._refinable("on_session")
        command.session_id = checked_session_id(session_id)
        return self

    def with_retry(self, retry: RetryPolicy) -> DurableFuture[T]:
        """Retry this activity by `retry` instead of the policy it was declared with. Raises: as `with_tag`."""
        apply_retry(self._refinable("with_retry"), retry)
        return self

    def with_timeout(self, timeout: Duration, *, total: Duration | None = None) -> DurableFuture[T]:
        """Bound each attempt of this activity or step by `timeout`, and all of them with their pauses by `total`.

        The future raises: ActivityTimeout. Raises: as `with_tag`; InvalidArgument: a duration that is none, or zero.
        """
        command = self._refinable("with_timeout")
        command.start_to_close_ms = _positive(timeout, "timeout")
        if total is not None:
            command.schedule_to_close_ms = _positive(total, "total")
        return self

    def with_stream(self, name: str) -> DurableFuture[T]:
        """Name the stream of this generator's partial results; see `OrchestrationContext.stream`.

        Raises: as `with_tag`; InvalidArgument: it is no generator, or no name.
        """
        command = self._refinable("with_stream")
        if command.stream is None:
            raise InvalidArgument(f"with_stream() names the stream of a generator; {self.what} is none.")
        command.stream = checked_text(name, "stream name", LONGEST_STREAM_NAME)
        return self

    @property
    def promise_id(self) -> str:
        """What the outside calls this promise, or request: give it, with the instance id, to whoever is to settle it.

        Raises: InvalidArgument: it is the future of something else.
        """
        if not isinstance(self.command, CreatePromise):
            raise InvalidArgument(
                f"Only promises and requests have a promise id; {self.what or 'this future'} is none."
            )
        return self.command.promise_id

    def _refinable(self, verb: str) -> ScheduleActivity:
        if not isinstance(self.command, ScheduleActivity):
            raise InvalidArgument(f"{verb}() refines an activity; {self.what or 'this future'} is none.")
        if self.command.seq is not None:
            raise InvalidArgument(
                f"{verb}() came too late: {self.what} was recorded when the code was suspended. Call it on the "
                f"future before yielding or awaiting anything."
            )
        return self.command

    def resolve(self, payload: Any) -> None:
        """Settle with a recorded payload; a payload that does not decode raises at the await."""
        if self.done():
            return
        try:
            value = self._decode(payload) if self._decode else payload
        except Exception as error:  # Decoding calls constructors of the author's types.
            self.set_exception(error)
        else:
            self.set_result(value)

    def reject(self, error: BaseException) -> None:
        """Settle with a recorded error."""
        if not self.done():
            self.set_exception(error)

    def cancel(self, msg: Any = None) -> bool:
        if self.done():
            return False
        if self._host is not None and self.command is not None:
            self._host.withdraw(self.command)
        return super().cancel(msg)


def checked_session_id(session_id: str) -> str:
    """Return `session_id`. Raises: InvalidArgument: it is empty, too long or no text."""
    return checked_text(session_id, "session id", LONGEST_SESSION_ID)


def _positive(duration: Duration, name: str) -> int:
    found = milliseconds(duration, name)
    if found == 0:
        raise InvalidArgument(f"{name} is zero, expected a positive duration.")
    return found


def apply_retry(command: ScheduleActivity, retry: RetryPolicy) -> None:
    """Put a retry policy, and the timeouts it carries, on a command that is not recorded yet."""
    command.retry = retry.as_dict()
    if retry.timeout is not None:
        command.start_to_close_ms = milliseconds(retry.timeout, "timeout")
    if retry.total_timeout is not None:
        command.schedule_to_close_ms = milliseconds(retry.total_timeout, "total_timeout")


class _GroupFuture(OrchestrationFuture[Any]):
    def __init__(self, members: Sequence[asyncio.Future[Any]], *, loop: OrchestrationLoop) -> None:
        super().__init__(loop=loop)
        self._members = list(members)

    def cancel(self, msg: Any = None) -> bool:
        if self.done():
            return False
        for member in self._members:
            member.cancel(msg)
        return super().cancel(msg)


class AllFuture(_GroupFuture):
    """Waits for all; its value is a list in the order given, of `{"ok": value}` or `{"err": text}`."""

    def __init__(self, members: Sequence[asyncio.Future[Any]], *, loop: OrchestrationLoop) -> None:
        super().__init__(members, loop=loop)
        self._left = len(self._members)
        if not self._members:
            self.set_result([])
        for member in self._members:
            member.add_done_callback(self._member_done)

    def _member_done(self, member: asyncio.Future[Any]) -> None:
        self._left -= 1
        if self._left == 0 and not self.done():
            self.set_result([_outcome(each) for each in self._members])


def _outcome(member: asyncio.Future[Any]) -> dict[str, Any]:
    if member.cancelled():
        return {"err": "CancelledError"}
    error = member.exception()
    return {"ok": member.result()} if error is None else {"err": text_of(error) or type(error).__name__}


class RaceFuture(_GroupFuture):
    """Waits for the first; its value is `{"index": i, "value": value}`. A winner that failed raises; losers are
    canceled. Where several are done already, the first in order wins."""

    def __init__(self, members: Sequence[asyncio.Future[Any]], *, loop: OrchestrationLoop) -> None:
        super().__init__(members, loop=loop)
        for member in self._members:
            member.add_done_callback(self._member_done)

    def _member_done(self, winner: asyncio.Future[Any]) -> None:
        if self.done():
            return
        error = None if winner.cancelled() else winner.exception()
        if winner.cancelled():
            super().cancel()
        elif error is not None:
            self.set_exception(error)
        else:
            self._win(winner)
        for member in self._members:
            if member is not winner:
                member.remove_done_callback(self._member_done)
                _give_up(member)

    def _win(self, winner: asyncio.Future[Any]) -> None:
        self.set_result({"index": self._members.index(winner), "value": winner.result()})


def _give_up(member: asyncio.Future[Any]) -> None:
    """Cancel a loser; the error of one that ended as well counts as seen, so that nobody reports it."""
    if not member.done():
        member.cancel()
    elif not member.cancelled():
        member.exception()
