"""Runs a durable program in the caller's loop, from where its saved state stands to its next pause."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..codec.references import MODEL_INSTANCES
from ..engine.checkpoint import CompiledFunction, Frame, dump, load
from ..engine.durations import milliseconds
from ..engine.errors import CheckpointDamaged, NotDurable
from ..engine.pauses import Pause, PauseForEventException
from ..store.references import aread_again
from .backends import OrchestrationBackend
from .calls import CallStack
from .stores import State

if TYPE_CHECKING:
    from .program import DurableProgram

_running: ContextVar[DurableRuntime | None] = ContextVar("_running", default=None)

FORMAT = "django_durable program 1"


class DurableRuntime:
    """One instance of a program, and the backend that keeps it."""

    def __init__(self, program: DurableProgram, backend: OrchestrationBackend, instance_id: str) -> None:
        self.program = program
        self.backend = backend
        self.instance_id = instance_id
        self.call_stack = CallStack()
        self.last_result: Any = None

    async def run(self, *args: Any, **kwargs: Any) -> Any:
        """Begin, or go on, until the program ends; then return its result, on every later call as well.

        The arguments count where it begins.
        Raises:
            PauseForEventException: it pauses, its state is saved. Publish the event and call this again.
            NotDurable, Unstorable: it pauses where it cannot; nothing is saved.
            Otherwise what the program raised, on every later call as well.
        """
        self.last_result = await self.backend.run(self, args, kwargs)
        return self.last_result

    async def wait_for_event(self, name: str) -> Any:
        """Wait until an event arrives, then go on; see `run`."""
        await self.backend.wait_for_event(self.instance_id, name)
        return await self.run()

    def publish_event(self, name: str, payload: Any = None) -> None:
        """Publish an event to this instance, where the backend takes events."""
        publish: Any = self.backend.publish_event  # type: ignore[attr-defined]
        publish(self.instance_id, name, payload)

    async def run_here(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run in the caller's loop, with the state that the backend keeps; see `run`."""
        state = await self.backend.load_state(self.instance_id)
        if state is None:
            frame, paused_at = self.program.compiled(*args, **kwargs), None
        else:
            graph = await self._loaded(state)
            if "result" in graph:
                return graph["result"]
            if "error" in graph:
                raise graph["error"]
            frame, paused_at = graph["frame"], state["paused_at"]
        return await self._go_on(frame, paused_at)

    async def _go_on(self, frame: Frame, paused_at: float | None) -> Any:
        driven = _Driven(frame)
        while not await self._step(driven):
            paused = driven.paused
            again = paused_at is not None
            event = await self.backend.take_event(self.instance_id, paused.event, again=again)
            if event is not None:
                driven.value = event.payload
            elif _is_over(paused, paused_at):
                driven.error = TimeoutError(f"Event {paused.event!r} did not arrive in time.")
            else:
                await self._save({"frame": frame}, paused_at=paused_at or time.time())
                self.call_stack = CallStack(frame)
                raise PauseForEventException(paused.event)
            paused_at = None
        self.call_stack = CallStack()
        await self._save({"result": driven.value})
        return driven.value

    async def _step(self, driven: _Driven) -> bool:
        """Go on to the next pause, or the end; tell whether it is the end. An error of the program is one, too."""
        running = _running.set(self)
        try:
            return await driven
        except PauseForEventException as paused:
            raise beside(paused.event) from paused
        except NotDurable:
            raise
        except Exception as error:  # The program's own.
            await self._save({"error": error})
            raise
        finally:
            _running.reset(running)

    async def _save(self, graph: dict[str, Any], **others: Any) -> None:
        state = {
            "format": FORMAT,
            "instance_id": self.instance_id,
            **others,
            "graph": dump(graph, hooks=[MODEL_INSTANCES]),
        }
        await self.backend.save_state(self.instance_id, state)

    async def _loaded(self, state: State) -> dict[str, Any]:
        if state.get("format") != FORMAT:
            raise CheckpointDamaged(f"the state of {self.instance_id!r} does not have the format {FORMAT!r}")
        rows: list[Any] = []

        def row(reference: Any) -> Any:
            rows.append(MODEL_INSTANCES.load(reference))
            return rows[-1]

        graph: dict[str, Any] = load(state["graph"], find=self._find, hooks=[replace(MODEL_INSTANCES, load=row)])
        await aread_again(rows)  # The loop's own code could not: Django asks no database in a running loop.
        return graph

    def _find(self, name: str, hash: str) -> CompiledFunction:
        return self.program.find(name)


def is_inside() -> bool:
    """Tell whether a program runs here, or has started the task that does."""
    return _running.get() is not None


def beside(event: str) -> NotDurable:
    """Return the error for a pause that did not come to the program as one."""
    return NotDurable(
        event,
        "out of something beside the program, such as a task, asyncio.gather, or a function that is not durable",
        "Await pauses and durable functions in the program itself, or run it as an orchestration, where they may run "
        "concurrently",
    )


class _Driven:
    """Steps a frame, lets what it awaits of the loop pass through, and returns at each pause.

    Awaiting it tells whether the frame has ended: `value` is then its result. Else it stands at `paused`, and goes on
    with `value` or `error`.
    """

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self.value: Any = None
        self.error: BaseException | None = None
        self.paused: Pause

    def __await__(self) -> Generator[Any, Any, bool]:
        value, error = self.value, self.error
        self.value = self.error = None
        while True:
            try:
                item = self._frame.send(value) if error is None else self._frame.throw(error)
            except StopIteration as stop:
                self.value = stop.value
                return True
            if isinstance(item, Pause):
                self.paused = item
                return False
            value = error = None
            try:
                value = yield item
            except BaseException as thrown:
                error = thrown


def _is_over(paused: Pause, paused_at: float | None) -> bool:
    """Tell whether a pause is over by its timeout."""
    if paused.timeout is None or paused_at is None:
        return False
    return time.time() >= paused_at + milliseconds(paused.timeout, "timeout") / 1000
