"""How futures are written and made again: those of verbs, of `all` and `race`, and the plain ones of the loop.

A future that waits has callbacks, in an order that decides who goes on first. They are written as data: a task that it
wakes, a method of another part, a function. `tasks.restore` puts them back when every part has its state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import BuiltinMethodType, MethodType
from typing import Any

from ..futures import AllFuture, DurableFuture, RaceFuture
from ..loop import OrchestrationFuture
from ..pauses import PauseFuture
from .parts import Kind, Loading, Saving

PENDING, RESULT, ERROR, CANCELED = "pending", "result", "error", "canceled"
WAKES, CALLS, AGAIN = "wakes", "calls", "again"
_OUTER = frozenset({"gather.<locals>._done_callback", "shield.<locals>._inner_done_callback"})


def outcome_of(future: asyncio.Future[Any]) -> list[Any]:
    """Return how a future stands, and whether somebody has seen its error."""
    if not future.done():
        return [PENDING]
    if future.cancelled():
        return [CANCELED]
    inside: Any = future  # `exception()` would count as having seen it.
    if inside._exception is None:
        return [RESULT, future.result()]
    return [ERROR, inside._exception, not inside._log_traceback]


def settle(future: asyncio.Future[Any], outcome: Sequence[Any]) -> None:
    """Settle a future as it was; nothing waits for it yet."""
    match outcome:
        case [str(kind), value] if kind == RESULT:
            future.set_result(value)
        case [str(kind), error, seen] if kind == ERROR:
            future.set_exception(error)
            if seen:
                future.exception()
        case [str(kind)] if kind == CANCELED:
            asyncio.Future.cancel(future)


def callbacks_of(future: asyncio.Future[Any]) -> list[list[Any]]:
    """Return what a future calls when it is done, in order.

    That is `[WAKES, task]`, `[CALLS, object, method]`, `[CALLS, function, context]`, or `[AGAIN, outer]` where calling
    `gather` or `shield` again puts it there.
    """
    found: list[list[Any]] = []
    for callback, context in getattr(future, "_callbacks", None) or ():
        owner = getattr(callback, "__self__", None)
        if isinstance(callback, BuiltinMethodType) and isinstance(owner, asyncio.Task):
            found.append([WAKES, owner])
        elif isinstance(callback, MethodType):
            if callback.__name__ != "_disown":  # The loop's own; it adds it to every task.
                found.append([CALLS, owner, callback.__name__])
        elif (outer := outer_of(callback)) is not None:
            # One that is done already, by another of its members, only takes notice.
            found.append([CALLS, notice, context] if outer.done() else [AGAIN, outer])
        elif getattr(callback, "__qualname__", "") != "shield.<locals>._outer_done_callback":
            found.append([CALLS, callback, context])
    return found


def notice(future: asyncio.Future[Any]) -> None:
    """Take the error of a future as seen; called when it is done."""
    if not future.cancelled():
        future.exception()


def outer_of(callback: Any) -> Any:
    """Return the future of `asyncio.gather` or `shield` that a callback belongs to, or None."""
    if getattr(callback, "__qualname__", "") not in _OUTER:
        return None
    closed_over = zip(callback.__code__.co_freevars, callback.__closure__, strict=True)
    return next(cell.cell_contents for name, cell in closed_over if name == "outer")


class SleepFuture(DurableFuture[None]):
    """The timer of a sleep: where that is canceled, it is taken back when the code that slept hears of it."""

    def cancel(self, msg: Any = None) -> bool:
        if self.done():
            return False
        if self._host is not None and self.command is not None:
            self.get_loop().call_soon(self._host.withdraw, self.command)
        return asyncio.Future.cancel(self, msg)


class PlainFutures:
    """Futures that the loop made, for nobody in particular."""

    name = "future"
    type: type[asyncio.Future[Any]] = OrchestrationFuture

    def owns(self, part: Any) -> bool:
        return type(part) is self.type

    def scalars(self, part: Any, saving: Saving) -> Sequence[Any]:
        return [hash(part)]

    def state(self, part: Any, saving: Saving) -> dict[str, Any]:
        return {"outcome": outcome_of(part), "callbacks": callbacks_of(part)}

    def shell(self, scalars: Sequence[Any], loading: Loading) -> Any:
        future: Any = self.type.__new__(self.type)
        OrchestrationFuture.__init__(future, loop=loading.program.loop)
        future._order = scalars[0]
        return future

    def fill(self, part: Any, state: Any, loading: Loading) -> None:
        settle(part, state["outcome"])


class VerbFutures(PlainFutures):
    """Futures of commands."""

    def __init__(self, name: str, type: type[DurableFuture[Any]]) -> None:
        self.name = name
        self.type = type

    def state(self, part: DurableFuture[Any], saving: Saving) -> dict[str, Any]:
        if part.done():  # Its command is history.
            return {**super().state(part, saving), "what": part.what}
        own = {"command": part.command, "decode": part._decode, "what": part.what}
        return {**super().state(part, saving), **own}

    def fill(self, part: Any, state: Any, loading: Loading) -> None:
        part.command, part._decode, part.what = state.get("command"), state.get("decode"), state["what"]
        part._host = loading.program
        super().fill(part, state, loading)


class GroupFutures(PlainFutures):
    """What `ctx.all` and `ctx.race` return, and a pause with a timeout."""

    def __init__(self, name: str, type: type[AllFuture] | type[RaceFuture]) -> None:
        self.name = name
        self.type = type

    def state(self, part: Any, saving: Saving) -> dict[str, Any]:
        own = {name: getattr(part, name) for name in ("_left", "what") if hasattr(part, name)}
        return {**super().state(part, saving), "members": part._members, "own": own}

    def fill(self, part: Any, state: Any, loading: Loading) -> None:
        part._members = state["members"]
        for name, value in state["own"].items():
            setattr(part, name, value)
        super().fill(part, state, loading)


_GROUPS: tuple[tuple[str, type[AllFuture] | type[RaceFuture]], ...] = (
    *(("all", AllFuture), ("race", RaceFuture), ("pause", PauseFuture)),
)
KINDS: tuple[Kind, ...] = (
    *(PlainFutures(), VerbFutures("verb", DurableFuture), VerbFutures("sleep", SleepFuture)),
    *(GroupFutures(*each) for each in _GROUPS),
)
