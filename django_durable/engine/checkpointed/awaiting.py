"""What compiled code may wait for across a suspension, besides futures and compiled functions.

Coroutines of asyncio's own functions (`Queue.get`, `TaskGroup.__aexit__`), and of streams and signals, are replaced,
before their first step, by frames of the same functions, compiled; so where they stand is data as well, of this version
of Python, or of this library. `sleep` and `wait_for`, the ones that wait for long, do not depend on it: they become a
timer, and a function of this module. A pause is a wait for an event.
"""

from __future__ import annotations

import asyncio
import inspect
from asyncio import locks, queues, taskgroups, tasks, timeouts
from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from types import CodeType, CoroutineType, ModuleType
from typing import TYPE_CHECKING, Any

from .. import generated, readable, signals, streams
from ..checkpoint import CompiledFunction, compile_function
from ..commands import CreateTimer
from ..decoding import Nothing
from ..errors import NotCompilable, NotRegistered
from ..loop import delay_ms
from ..pauses import Pause, PauseForEventException, current_program, future_of
from .futures import SleepFuture

if TYPE_CHECKING:
    from ..base import BaseProgram

_MODULES: tuple[ModuleType, ...] = (locks, queues, taskgroups, tasks, timeouts, readable, signals, streams, generated)
_NAMES = frozenset({__name__, *(module.__name__ for module in _MODULES)})


def adapt(awaited: Any) -> Any:
    """Return what compiled code really waits for."""
    if isinstance(awaited, PauseForEventException):
        awaited = Pause(awaited.event)
    program = current_program()
    if isinstance(awaited, Pause):
        return awaited if program is None else future_of(awaited, program)
    if type(awaited) is CoroutineType:
        if program is None or inspect.getcoroutinestate(awaited) != inspect.CORO_CREATED:
            return awaited
        return _twin(awaited, program) or awaited
    frame = getattr(awaited, "__durable_frame__", None)
    return awaited if frame is None else frame()


def compiled(function: Callable[..., Any], name: str | None = None) -> CompiledFunction:
    """Compile a function to be run by a checkpointed program. Raises: NotCompilable."""
    return compile_function(function, name=name, adapt=adapt, pause=PauseForEventException)


def owns(name: str) -> bool:
    """Tell whether a name is that of a function that `find` returns."""
    return name.partition(":")[0] in _NAMES


def find(name: str) -> CompiledFunction:
    """Return a function of asyncio or of this library by its name, compiled. Raises: NotRegistered."""
    for function in (sleep, wait_for, *_functions().values()):
        if _name(function) == name:
            return _compile(function)
    raise NotRegistered("durable function", name)


def adapt_task(coro: Any, program: BaseProgram) -> Any:
    """Return what a task runs that is made of a coroutine; it does the same, at its first step and not before."""
    if type(coro) is not CoroutineType or inspect.getcoroutinestate(coro) != inspect.CORO_CREATED:
        return coro
    if coro.cr_code is asyncio.sleep.__code__:
        return _compiled_twin(coro, sleep)
    return _twin(coro, program) or coro


async def sleep(delay: float, result: Any) -> Any:
    """Do what `asyncio.sleep` does."""
    await asyncio.sleep(delay)
    return result


async def wait_for(fut: Any, timeout: float | None) -> Any:
    """Do what `asyncio.wait_for` does since Python 3.12."""
    async with asyncio.timeout(timeout):
        return await fut


def _twin(coroutine: CoroutineType[Any, Any, Any], program: BaseProgram) -> Awaitable[Any] | None:
    """Return what takes the place of such a coroutine that has not begun, None where it is another one."""
    function = _functions().get(coroutine.cr_code)
    if function is None or coroutine.cr_frame is None:
        return None
    given = coroutine.cr_frame.f_locals
    if function is asyncio.sleep and given["result"] is None and (milliseconds := delay_ms(given["delay"])):
        coroutine.close()
        return program.issue(CreateTimer(duration_ms=milliseconds), Nothing(), "Timer", kind=SleepFuture)
    return _compiled_twin(coroutine, wait_for if function is asyncio.wait_for else function)


def _compiled_twin(coroutine: CoroutineType[Any, Any, Any], function: Any) -> Awaitable[Any] | None:
    try:
        twin = _compile(function)
    except NotCompilable:
        return None
    assert coroutine.cr_frame is not None
    given, code = coroutine.cr_frame.f_locals, coroutine.cr_code
    names = code.co_varnames[: code.co_argcount]
    by_name = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    frame: Awaitable[Any] = twin(*(given[each] for each in names), **{each: given[each] for each in by_name})
    coroutine.close()  # It was never begun, and asyncio would say so.
    return frame


@cache
def _functions() -> dict[CodeType, Any]:
    return {each.__code__: each for module in _MODULES for each in _coroutine_functions(module)}


def _coroutine_functions(module: ModuleType) -> Iterator[Any]:
    for member in vars(module).values():
        if getattr(member, "__module__", None) != module.__name__:
            continue
        for each in vars(member).values() if inspect.isclass(member) else (member,):
            if inspect.iscoroutinefunction(each):
                yield each


@cache
def _compile(function: Any) -> CompiledFunction:
    return compile_function(function, name=_name(function), adapt=adapt)


def _name(function: Any) -> str:
    return f"{function.__module__}:{function.__qualname__}"
