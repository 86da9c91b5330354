"""A compiled function: what `compile_function` returns. Calling it makes a frame."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from types import CellType, FunctionType, MethodType
from typing import Any, cast

from ..errors import InvalidArgument
from .frame import Control, Frame, State
from .helpers import HELPERS
from .migration import Migration
from .scopes import scope_of
from .source import Source
from .syntax import CONTROL
from .template import PointInSource, Template

Adapt = Callable[[Any], Awaitable[Any]]

_HELPER_CELLS = {name: CellType(helper) for name, helper in HELPERS.items()}


class CompiledFunction:
    """See `compile_function`.

    Attributes:
        name: What a checkpoint calls it.
        root: The outermost function around it; itself, unless it is an `async def` inside another.
        adapt: Makes an awaitable of what the code awaits, for what a frame cannot keep.
        pause: The kind of exceptions that are waited for where they are raised.
    """

    # An author's decorators may copy all attributes of one function to another, so these are none of them.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_bind",
        "adapt",
        "cells",
        "environment",
        "migrations",
        "name",
        "pause",
        "root",
        "template",
        "wrapped",
    )

    def __init__(
        self,
        template: Template,
        function: FunctionType,
        *,
        root: CompiledFunction | None = None,
        adapt: Adapt | None = None,
        pause: type[BaseException] | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.wrapped = function
        self.template = template
        self.name = template.name
        self.root = root or self
        self.adapt = adapt
        self.pause = pause
        self.migrations: dict[str, Migration] = {}
        self.environment: dict[str, CellType] = dict(
            zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        )
        self._bind = FunctionType(template.bind, function.__globals__, function.__name__, function.__defaults__)
        self._bind.__kwdefaults__ = function.__kwdefaults__
        self._bind.__qualname__ = function.__qualname__
        self.cells = {**_HELPER_CELLS, **self._own_helpers()}

    def _own_helpers(self) -> dict[str, CellType]:
        helpers = {
            ".adapted": self._adapted,
            ".inner": self._inner,
            ".is_pause": self._is_pause,
            ".pause": self._pause,
        }
        return {name: CellType(helper) for name, helper in helpers.items()}

    @property
    def hash(self) -> str:
        """Identifies what the code does; a frame resumes only the code that it was made from."""
        return self.template.hash

    @property
    def source(self) -> str:
        """The text it was compiled from."""
        return self.template.source.text

    @property
    def points(self) -> Sequence[PointInSource]:
        """The places where it may be suspended; the first has number 1."""
        return self.template.points

    def line_of(self, point: int) -> int:
        return self.points[point - 1].line if point else self.template.source.tree.lineno

    def __call__(self, *args: Any, **kwargs: Any) -> Frame:
        values = self._bind(*args, **kwargs)
        cells = {name: CellType() for name in self.template.scope.shared}
        for name in cells.keys() & values.keys():
            cells[name].cell_contents = values.pop(name)
        return Frame(self, State(0, values, cells))

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<CompiledFunction {self.name}>"

    def native(self, control: Control, cells: dict[str, CellType]) -> Coroutine[Any, Any, Any]:
        """Return a coroutine of the generated code, for one frame."""
        code = self.template.code
        known = {**self.environment, **cells, CONTROL: CellType(control)}
        closure = tuple(known[name] if name in known else self.cells[name] for name in code.co_freevars)
        function = FunctionType(code, self.wrapped.__globals__, self.template.source.name, None, closure)
        function.__qualname__ = self.template.qualname
        return cast("Coroutine[Any, Any, Any]", function())

    def inner(self, function: FunctionType) -> CompiledFunction:
        """Compile an `async def` that runs inside this one, as its own code has made it."""
        template = self.template.inner_codes[id(function.__code__)]
        return CompiledFunction(template, function, root=self.root, adapt=self.adapt, pause=self.pause)

    def inside(self, template: Template) -> CompiledFunction:
        """Return this function as the one in whose code functions of `template` are made."""
        if template is self.template:
            return self
        return CompiledFunction(template, self.wrapped, root=self.root, adapt=self.adapt, pause=self.pause)

    def _inner(self, number: int) -> Callable[[FunctionType], CompiledFunction]:
        return self.inner

    def _adapted(self, awaited: Any) -> Any:
        if self.adapt is None or isinstance(awaited, Frame):
            return awaited
        return self.adapt(awaited)

    def _is_pause(self, error: Any) -> bool:
        kind = error if isinstance(error, type) else type(error)
        return self.pause is not None and issubclass(kind, self.pause)

    def _pause(self, error: Any) -> Any:
        return error() if isinstance(error, type) else error

    def accepts(self, migration: Migration) -> CompiledFunction:
        """Let calls that stand in older code go on in this one. Returns: the function itself.

        Raises: InvalidArgument: the rule leads to a point that is not there.
        """
        for point in migration.points.values():
            if not 1 <= point <= len(self.points):
                raise InvalidArgument(f"{self.name} has no point {point}; it has {len(self.points)}.")
        self.migrations[migration.recorded] = migration
        return self

    def from_source(self, text: str) -> CompiledFunction:
        """Compile other text of this function, such as that of an older version, among the same globals.

        Raises: NotCompilable.
        """
        source = Source(text, self.template.source.file, self.template.source.line, self.template.source.owner)
        template = Template(
            source,
            self.name,
            self.template.qualname,
            self.wrapped.__code__.co_freevars,
            scope_of(source),
            pausing=self.pause is not None,
        )
        return CompiledFunction(template, self.wrapped, adapt=self.adapt, pause=self.pause)


def compile_function(
    function: Callable[..., Coroutine[Any, Any, Any]],
    *,
    name: str | None = None,
    adapt: Adapt | None = None,
    pause: type[BaseException] | None = None,
) -> CompiledFunction:
    """Compile an `async def` to a form whose calls can be stored while they are suspended.

    Args:
        name: What checkpoints call it; "module:qualname" if not given.
        adapt: Called with what the code awaits, unless that is a frame; its result is awaited, perhaps again.
        pause: Exceptions of this kind are waited for where they are raised.
    Raises: NotCompilable: it has no source, or it does what cannot be stored; the error says what to write instead.
    """
    native = cast("FunctionType", function)
    source = Source.of(native)
    template = Template(
        source,
        name or f"{native.__module__}:{native.__qualname__}",
        native.__qualname__,
        native.__code__.co_freevars,
        scope_of(source),
        pausing=pause is not None,
    )
    return CompiledFunction(template, native, adapt=adapt, pause=pause)
