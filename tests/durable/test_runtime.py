"""Durable programs in the caller's own loop: calls, payloads, timeouts, ends, and what can be seen of them."""

from __future__ import annotations

import asyncio
import functools
import threading

import pytest

from django_durable.durable import (
    AlreadyDurableException,
    DurableBackend,
    DurableProgram,
    InMemoryStateStore,
    PauseForEventException,
    make_durable,
    pause,
    runtime as runtime_module,
)
from django_durable.engine.errors import InvalidArgument, NotCompilable, NotDurable, Unstorable

done: list[str] = []


@make_durable
async def answer(question: str) -> str:
    done.append(question)
    return await pause(f"answer to {question}", timeout=60_000)


@make_durable
async def interview(*questions: str) -> list[str]:
    answers = []
    for question in questions:
        answers.append(await answer(question))
        await asyncio.sleep(0)
    return answers


@make_durable
async def fails(after: str) -> None:
    await pause(after)
    done.append("failing")
    raise LookupError("no such thing")


@pytest.fixture
def backend():
    done.clear()
    return DurableBackend(InMemoryStateStore())


def run(program: DurableProgram, backend: DurableBackend, *args: str):
    return asyncio.run(_run(program, backend, args))


async def _run(program, backend, args):
    try:
        return await program(*args, orchestration_backend=backend, instance_id="one")
    except PauseForEventException as paused:
        return f"paused for {paused.event}"


def test_functions_call_each_other_and_nothing_runs_twice(backend):
    assert run(interview, backend, "a", "b") == "paused for answer to a"
    assert run(interview, backend, "a", "b") == "paused for answer to a"
    backend.publish_event("one", "answer to a", 1)
    assert run(interview, backend, "a", "b") == "paused for answer to b"
    backend.publish_event("one", "answer to b", 0)
    assert run(interview, backend, "a", "b") == [1, 0]
    assert run(interview, backend, "a", "b") == [1, 0], "it has ended"
    assert done == ["a", "b"]


def test_events_that_come_first_are_kept(backend):
    for each in ("a", "b"):
        backend.publish_event("one", f"answer to {each}", each)
    assert run(interview, backend, "a", "b") == ["a", "b"]


def test_a_pause_that_is_too_long_raises(backend, monkeypatch):
    run(interview, backend, "a")
    later = runtime_module.time.time() + 61
    monkeypatch.setattr(runtime_module.time, "time", lambda: later)
    with pytest.raises(TimeoutError, match="'answer to a' did not arrive in time"):
        run(interview, backend, "a")


def test_an_error_is_the_end_and_is_raised_again(backend):
    run(fails, backend, "go")
    backend.publish_event("one", "go")
    for _ in range(2):
        with pytest.raises(LookupError, match="no such thing"):
            run(fails, backend, "go")
    assert done == ["failing"]


def test_what_stands_where_can_be_seen(backend):
    runtime = interview.runtime(backend, "one")
    assert runtime.call_stack.is_empty()
    with pytest.raises(PauseForEventException):
        asyncio.run(runtime.run("a"))
    outer, inner = runtime.call_stack
    assert (outer.function, inner.function) == (f"{__name__}:interview", f"{__name__}:answer")
    assert outer.locals["question"] == "a"
    assert dict(inner.locals) == {"question": "a"}
    assert runtime.call_stack.peek() is inner
    assert inner.line > 0


def test_without_a_backend_a_call_is_an_instance_of_its_own():
    with pytest.raises(PauseForEventException):
        asyncio.run(_alone())


async def _alone():
    await answer("a")


def test_what_is_durable_is_not_made_durable_again():
    with pytest.raises(AlreadyDurableException, match="is durable already"):
        make_durable(answer)


# What cannot be made durable, and what cannot pause.


class Shop:
    async def opens(self):
        await pause("key")


def logged(function):
    @functools.wraps(function)
    async def wrapper(*args):
        done.append("called")
        return await function(*args)

    return wrapper


@logged
async def wrapped():
    await pause("allow")


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        (wrapped, r"test_runtime.py:\d+\): found a function that a decorator has wrapped"),
        (Shop().opens, r"test_runtime.py:\d+\): found a bound method. Decorate the function in its class"),
        (functools.partial(wrapped), "found no coroutine function"),
        (Shop, "found no coroutine function"),
        (done.append, "found no coroutine function"),
        (None, "found no coroutine function"),
    ],
)
def test_what_is_no_plain_function_is_refused_by_what_it_is(thing, says):
    with pytest.raises(NotCompilable, match=says):
        make_durable(thing)


def test_a_method_is_made_durable_in_its_class(backend):
    opens = make_durable(Shop.opens)
    with pytest.raises(PauseForEventException, match="key"):
        asyncio.run(opens(Shop(), orchestration_backend=backend, instance_id="one"))


class Door:
    def __init__(self, keys):
        self.keys = keys

    @make_durable
    async def __aenter__(self):
        self.keys += await pause("opened")
        return self

    @make_durable
    async def __aexit__(self, *left_by):
        await pause("closed")
        return left_by[0] is ValueError

    def __aiter__(self):
        return self

    @make_durable
    async def __anext__(self):
        if self.keys > 10:
            raise StopAsyncIteration
        self.keys += await pause("another")
        return self.keys

    @make_durable
    async def knocks(self, times):
        return self.keys + times * await pause("answer")


@make_durable
async def goes_through_a_door():
    async with Door(1) as door:
        seen = [keys async for keys in door]
        raise ValueError
    knocks = door.knocks
    return seen, await knocks(2), await Door.knocks(door, 3)


def test_durable_methods_of_a_class_are_waited_for_with_their_object(backend):
    for event in ("opened", "another", "closed", "answer", "answer"):
        assert run(goes_through_a_door, backend) == f"paused for {event}"
        backend.publish_event("one", event, 5)
    assert run(goes_through_a_door, backend) == ([11], 21, 26)


@pytest.mark.parametrize(
    "wrong", [{"event": ""}, {"event": 5}, {"event": "a", "timeout": "5"}, {"event": "a", "timeout": -1}]
)
def test_a_pause_for_nothing_or_for_no_time_is_refused_where_it_is_written(wrong):
    with pytest.raises(InvalidArgument):
        pause(**wrong)


@make_durable
async def holds_a_lock():
    lock = threading.Lock()
    await pause("allow")
    return lock.locked()


def test_a_program_that_cannot_be_stored_is_not_ended_by_that(backend):
    for _ in range(2):
        with pytest.raises(Unstorable, match="Variable 'lock' of .*holds_a_lock"):
            run(holds_a_lock, backend)
    assert asyncio.run(backend.load_state("one")) is None


def raises_a_pause():
    raise PauseForEventException("allow")


@make_durable
async def calls_what_is_not_durable():
    raises_a_pause()


@make_durable
async def gathers():
    return await asyncio.gather(answer("a"), answer("b"))


@pytest.mark.parametrize("program", [calls_what_is_not_durable, gathers])
def test_a_pause_beside_the_program_is_no_pause_of_it(backend, program):
    for _ in range(2):
        with pytest.raises(NotDurable, match="Await pauses and durable functions in the program itself"):
            asyncio.run(program(orchestration_backend=backend, instance_id="one"))
    assert asyncio.run(backend.load_state("one")) is None


def test_a_pause_in_code_that_is_not_durable_says_what_to_do():
    with pytest.raises(NotDurable, match="The pause for 'key' .* Make the function that pauses durable"):
        asyncio.run(Shop().opens())
