"""A frame: one call of a compiled function. To its outside it is a coroutine, to a checkpoint it is data.

Theory of operation. A frame has a state (the number of its point, its variables, what it waits for), and, once it was
driven, a native coroutine of the generated code, in which that state then lives. `state()` reads it from either. The
coroutine of a loaded frame is led back to its point first; then what it waits for is awaited again, or what was thrown
in is raised there.

Dropping a frame runs nothing of the author's: handlers run only while `send` or `throw` drive it.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from types import CellType
from typing import TYPE_CHECKING, Any

from .syntax import AT, AWAITED, is_ours

if TYPE_CHECKING:
    from .function import CompiledFunction


class Control:
    """What the generated code of one frame asks: whether it is driven, and the state to start from."""

    __slots__ = ("point", "running", "values")

    def __init__(self, point: int, values: Mapping[str, Any]) -> None:
        self.point = point
        self.values = values
        self.running = False


@dataclass(slots=True)
class State:
    """A frame as data: `values` by name (temporaries with a dot), `cells` of what inner functions share."""

    at: int = 0
    values: dict[str, Any] = field(default_factory=dict)
    cells: dict[str, CellType] = field(default_factory=dict)
    awaits: Any = None


class Frame(Coroutine[Any, Any, Any]):
    """See the module docstring."""

    __slots__ = ("__weakref__", "_cells", "_control", "_coroutine", "_start", "_thrown", "done", "function")

    def __init__(self, function: CompiledFunction, state: State) -> None:
        self.function = function
        self.done = False
        self._start: State | None = state
        self._cells = state.cells
        self._control: Control | None = None
        self._coroutine: Coroutine[Any, Any, Any] | None = None
        self._thrown: BaseException | None = None

    # As a coroutine.

    def send(self, value: Any) -> Any:
        if self._thrown is not None:
            thrown, self._thrown = self._thrown, None
            return self.throw(thrown)
        coroutine, control = self._entered()
        control.running = True
        try:
            return coroutine.send(value)
        except BaseException:
            self._end()
            raise
        finally:
            control.running = False

    def throw(self, error: Any, value: Any = None, traceback: Any = None) -> Any:
        if isinstance(error, type):
            error = error() if value is None else value if isinstance(value, BaseException) else error(value)
        if traceback is not None:
            error = error.with_traceback(traceback)
        if isinstance(error, GeneratorExit):
            self.close()
            raise error
        coroutine, control = self._entered()
        control.running = True
        try:
            return coroutine.throw(error)
        except BaseException:
            self._end()
            raise
        finally:
            control.running = False

    def close(self) -> None:
        """Drop the frame. Nothing of the author's code runs."""
        if self._coroutine is not None:
            self._coroutine.close()
        self._end()

    def __await__(self) -> Frame:  # type: ignore[override]
        if self.done:
            raise RuntimeError("cannot reuse already awaited coroutine")
        if self._coroutine is not None:
            raise RuntimeError("coroutine is being awaited already")
        return self

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def throwing(self, error: BaseException) -> Frame:
        """Return this frame as an awaitable's iterator; its first step throws `error` in."""
        self._thrown = error
        return self

    def _entered(self) -> tuple[Coroutine[Any, Any, Any], Control]:
        """Return the native coroutine, at the point where the frame stands."""
        if self.done:
            raise RuntimeError("cannot reuse already awaited coroutine")
        if self._coroutine is None or self._control is None:
            state = self._start
            assert state is not None
            self._control = control = Control(state.at, {**state.values, AWAITED: state.awaits})
            self._coroutine = coroutine = self.function.native(control, state.cells)
            if state.at:
                control.running = True
                try:
                    coroutine.send(None)
                finally:
                    control.running = False
            self._start = None
        return self._coroutine, self._control

    def _end(self) -> None:
        self.done = True
        self._coroutine = self._control = self._start = self._thrown = None

    # As data.

    def restore(self, state: State) -> None:
        """Put a frame that was not driven yet at another state."""
        self._start = state
        self._cells = state.cells

    def state(self) -> State:
        """Return where the frame stands. Its values are those of the frame, not copies."""
        if self.done:
            return State(-1)
        if self._coroutine is None:
            assert self._start is not None
            return self._start
        found = getattr(self._coroutine, "cr_frame").f_locals  # noqa: B009 - typeshed's Coroutine has no frame
        at = found.get(AT, 0)
        names = self.function.template.kept_at(at)
        values = {name: found[name] for name in names if name in found}
        return State(at, values, self._cells, found.get(AWAITED))

    @property
    def running(self) -> bool:
        """Whether it is being driven right now."""
        return self._control is not None and self._control.running

    @property
    def at(self) -> int:
        """The number of the point where it is suspended; 0 before its start."""
        return 0 if self.done else self.state().at

    @property
    def line(self) -> int:
        """The line of the source where it stands."""
        return self.function.line_of(self.at)

    @property
    def locals(self) -> dict[str, Any]:
        """The author's variables that are bound, by name."""
        state = self.state()
        found = {name: value for name, value in state.values.items() if not is_ours(name)}
        for name, cell in state.cells.items():
            try:
                found[name] = cell.cell_contents
            except ValueError:
                continue
        return found

    @property
    def awaits(self) -> Any:
        """What it waits for: the frame of a function that it calls, or a future of the program."""
        return self.state().awaits

    def __repr__(self) -> str:
        where = "done" if self.done else f"line {self.line}"
        return f"<Frame {self.function.name} {where}>"
