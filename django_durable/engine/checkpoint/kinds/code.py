"""What runs: frames, compiled functions and those inside them, methods, and the cells that they share variables by."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Mapping
from types import CellType, FunctionType
from typing import TYPE_CHECKING, Any

from ...errors import CheckpointDamaged, CodeChanged
from ..frame import Frame, State
from ..function import CompiledFunction
from ..syntax import is_ours
from ..template import Template, template_of
from .base import Data, Kind
from .named import Named

if TYPE_CHECKING:
    from ..dumping import Writer
    from ..loading import Reader


class Cells(Kind):
    tag = "cell"
    fills = True

    def dump(self, writer: Writer, value: CellType) -> list[Data]:
        try:
            return [writer.ref(value.cell_contents)]
        except ValueError:
            return []

    def make(self, reader: Reader, *row: Any) -> CellType:
        return CellType()

    def fill(self, reader: Reader, made: CellType, *row: Any) -> None:
        if row:
            made.cell_contents = reader.get(row[0])


class Frames(Kind):
    tag = "frame"

    def dump(self, writer: Writer, value: Frame) -> list[Data]:
        if value.running:
            raise writer.unstorable(value, "It is running; a checkpoint is made between its steps")
        state = value.state()
        waits = state.awaits
        if inspect.iscoroutine(waits) or inspect.isgenerator(waits):
            raise writer.unstorable_in(value, waits)
        return [
            writer.ref(value.function, "its function"),
            value.function.root.hash,
            state.at,
            {name: writer.ref(found, named(name)) for name, found in state.values.items()},
            {name: writer.ref(cell, named(name)) for name, cell in state.cells.items()},
            writer.ref(waits, "what it awaits"),
        ]

    fills = True

    def make(self, reader: Reader, *row: Any) -> Frame:
        function, recorded, at, *_ = row
        compiled = reader.get(function)
        if not isinstance(compiled, CompiledFunction):
            raise CheckpointDamaged(f"{compiled!r:.80} is no compiled function")
        if compiled.root.hash != recorded and recorded not in compiled.root.migrations:
            raise CodeChanged(compiled.name, str(recorded), compiled.root.hash)
        frame = Frame(compiled, State())
        if at == -1:
            frame.close()
        elif type(at) is not int:
            raise CheckpointDamaged(f"{compiled.name} has no point {at!r:.20}")
        return frame

    def fill(self, reader: Reader, made: Frame, *row: Any) -> None:
        if made.done:
            return
        _, recorded, at, values, cells, awaits = row
        found = {name: reader.get(value) for name, value in values.items()}
        state = State(at, found, cells_of(reader, cells), reader.get(awaits))
        if made.function.root.hash == recorded:
            _check(made.function, state)
            made.restore(state)
        else:
            reader.at_the_end(lambda: _move(made, recorded, state))


def _move(frame: Frame, recorded: str, state: State) -> None:
    function = frame.function
    rule = function.root.migrations[recorded]
    if function is not function.root:
        rule = rule.of_inside(function, key_of(function))
    state = rule.moved(function, state)
    _check(frame.function, state)
    frame.restore(state)


def _check(function: CompiledFunction, state: State) -> None:
    if not 0 <= state.at <= len(function.points):
        raise CheckpointDamaged(f"{function.name} has no point {state.at}")
    scope, kept = function.template.scope, {*function.template.kept_at(state.at)}
    # An author's variable may have no value; a temporary that is kept has one.
    odd = {*state.values} - kept | ({*state.cells} ^ {*scope.shared}) | (kept - {*scope.plain} - {*state.values})
    if odd:
        raise CheckpointDamaged(f"{function.name} has other variables at point {state.at}: {', '.join(sorted(odd))}")


_TEMPORARIES = {
    "manager": "the manager of a `with`",
    "iterator": "what a loop runs over",
    "error": "the error that is handled",
    "raised": "the error that is raised",
    "returned": "what is returned",
}


def named(name: str) -> str:
    """Return what a message calls a variable, or a temporary, which has no name that an author knows."""
    if not is_ours(name):
        return f"variable {name!r}"
    return _TEMPORARIES.get(name.strip(".0123456789"), "a value of the expression that awaits")


def cells_of(reader: Reader, row: Mapping[str, Data]) -> dict[str, CellType]:
    cells = {name: reader.get(value) for name, value in row.items()}
    if not all(isinstance(cell, CellType) for cell in cells.values()):
        raise CheckpointDamaged("a shared variable is no cell")
    return cells


def key_of(function: CompiledFunction) -> str:
    """Return what a migration calls a function inside another."""
    made_by = template_of(function.wrapped.__code__)
    assert made_by is not None
    return made_by.keys[id(function.wrapped.__code__)]


class Compiled(Kind):
    """A compiled function: by its name, or, inside another, by the function that its code has made."""

    tag = "compiled"
    fills = True

    def dump(self, writer: Writer, value: CompiledFunction) -> list[Data]:
        if value.root is value:
            return [value.name, value.hash]
        others = {name: found for name, found in vars(value).items() if not _is_of(value.wrapped, name, found)}
        return [
            value.root.name,
            value.root.hash,
            writer.ref(value.wrapped),
            {name: writer.ref(found, f".{name}") for name, found in others.items()},
        ]

    def make(self, reader: Reader, *row: Any) -> CompiledFunction:
        name, recorded, *made = row
        if not made:
            return reader.named(name, recorded)
        root = reader.find(name, recorded)
        function = reader.get(made[0])
        template = template_of(function.__code__) if isinstance(function, FunctionType) else None
        if template is None or id(function.__code__) not in template.inner_codes or template.root is not root.template:
            raise CheckpointDamaged(f"{name} has no such function inside")
        return root.inside(template).inner(function)

    def fill(self, reader: Reader, made: CompiledFunction, *row: Any) -> None:
        if len(row) == 4:
            vars(made).update({name: reader.get(value) for name, value in row[3].items()})


def _is_of(function: FunctionType, name: str, found: object) -> bool:
    """Whether an attribute is what every compiled function takes over from the function it was made of."""
    return found is (function if name == "__wrapped__" else getattr(function, name, None))


class Functions(Kind):
    """Functions and lambdas made inside compiled code, with the cells they share; others by their names."""

    tag = "closure"

    def __init__(self) -> None:
        self._named = Named()

    def dump(self, writer: Writer, value: FunctionType) -> list[Data]:
        template = template_of(value.__code__)
        if template is None:
            return self._named.dump(writer, value)
        cells = dict(zip(value.__code__.co_freevars, value.__closure__ or (), strict=True))
        root = template.root
        shared = {
            name: writer.ref(cell, named(name))
            for name, cell in cells.items()
            if not is_ours(name) and name not in root.free
        }
        return [
            [root.name, root.hash, list(template.path), template.keys[id(value.__code__)]],
            shared,
            writer.ref(value.__defaults__, " default"),
            writer.ref(value.__kwdefaults__, " default"),
            writer.ref(value.__dict__ or None, ".__dict__"),
        ]

    def make(self, reader: Reader, *row: Any) -> Any:
        if len(row) == 1:
            return self._named.make(reader, *row)
        (name, recorded, path, key), cells, defaults, keyword_defaults, attributes = row
        root = reader.find(name, recorded)
        template = _descend(root.template, path)
        if root.hash != recorded:
            root.migrations[recorded].of_inside(root, key if not path else f"{key} (inside another)")
        code = template.closures.get(key)
        if code is None:
            raise CheckpointDamaged(f"{name} has no function {key!r:.80} inside")
        known = {**root.inside(template).cells, **root.environment, **cells_of(reader, cells)}
        if missing := ", ".join(sorted({*code.co_freevars} - {*known})):
            if root.hash != recorded:
                raise CodeChanged(root.name, recorded, root.hash, f"{key} shares {missing}, which it did not")
            raise CheckpointDamaged(f"{name} has no variable {missing} to share")
        closure = tuple(known[variable] for variable in code.co_freevars)
        made = FunctionType(code, root.wrapped.__globals__, code.co_name, reader.get(defaults), closure)
        made.__kwdefaults__ = reader.get(keyword_defaults)
        made.__dict__.update(reader.get(attributes) or {})
        return made


def _descend(template: Template, path: Any) -> Template:
    for number in path:
        template = template.inner[number]
    return template


class Methods(Kind):
    """Bound methods, of Python or C: the object, and the method's name."""

    tag = "method"

    def dump(self, writer: Writer, value: Any) -> list[Data]:
        owner = value.__self__
        name = value.__func__.__name__ if isinstance(value, types.MethodType) else value.__name__
        return [writer.ref(owner, f" bound to .{name}"), name]

    def make(self, reader: Reader, *row: Any) -> Any:
        owner, name = reader.get(row[0]), row[1]
        found = inspect.getattr_static(owner, name)
        if isinstance(found, property) or not callable(getattr(found, "__func__", found)):
            raise CheckpointDamaged(f"{name!r:.80} is no method of {owner!r:.80}")
        return getattr(owner, name)


class Tracebacks(Kind):
    """Tracebacks, which are not kept: an `__aexit__` that waits was given one."""

    tag = "traceback"

    def dump(self, writer: Writer, value: types.TracebackType) -> list[Data]:
        return []

    def make(self, reader: Reader, *row: Any) -> None:
        return None


class Partials(Kind):
    tag = "partial"
    fills = True

    def dump(self, writer: Writer, value: functools.partial[Any]) -> list[Data]:
        return [writer.ref(value.func), writer.ref(value.args), writer.ref(value.keywords)]

    def make(self, reader: Reader, *row: Any) -> Any:
        return functools.partial(print)

    def fill(self, reader: Reader, made: Any, *row: Any) -> None:
        # Not filled at once: what is called may share a variable that this is in.
        made.__setstate__((*(reader.get(item) for item in row), None))
