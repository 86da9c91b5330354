"""Explicit rules by which calls that stand in older code go on in newer code. Without one, they do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import CellType
from typing import TYPE_CHECKING, Any

from ..errors import CodeChanged
from .frame import State
from .syntax import is_ours

if TYPE_CHECKING:
    from .function import CompiledFunction

Variables = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """Says where calls that stand in one older version of a function go on; see `CompiledFunction.accepts`.

    A call moves to a point that keeps the same things: inside as many loops, `with` blocks and unfinished expressions.
    What is defined inside the older code, functions and calls of them, moves where `inside` has a rule for it.

    Attributes:
        recorded: Hash of the older code, as `CodeChanged` tells it. Rules that are inside another one have none.
        points: Where to go on, by the number of the point where a call stands. What stands elsewhere is not moved.
        variables: Makes the variables of the newer code of those of the older; None: they are the same.
        inside: Rules for functions, lambdas and awaiting comprehensions right inside, by the names that `CodeChanged`
            tells. Each goes on in the newer code's function of that name, which shares no more variables than it did.
            An empty rule moves what is not suspended.
    """

    recorded: str = ""
    points: Mapping[int, int] = field(default_factory=dict)
    variables: Callable[[Variables], Variables] | None = None
    inside: Mapping[str, Migration] = field(default_factory=dict)

    def of_inside(self, function: CompiledFunction, key: str) -> Migration:
        """Return the rule for a function inside. Raises: CodeChanged: there is none."""
        if key not in self.inside:
            raise self._refused(function.root, f"The migration says nothing of {key!r} inside")
        return self.inside[key]

    def moved(self, function: CompiledFunction, state: State) -> State:
        """Return the state of a call in the newer code. Raises: CodeChanged: the rule does not say where it goes on."""
        at = self.points.get(state.at) if state.at else 0
        if at is None:
            raise self._refused(function, f"The migration says nothing of point {state.at}")
        scope, held = function.template.scope, function.template.held_at(at)
        variables, kept = self._split(state)
        own = {name: kept.pop(name) for name in scope.plain if name in kept}  # A comprehension's have no author.
        if self.variables is not None:
            variables = self.variables(variables)
        if [_kind(name) for name in held] != [_kind(name) for name in kept]:
            raise self._refused(function, f"Point {at} keeps other things than point {state.at} did")
        if odd := {*variables} - {*scope.plain, *scope.shared}:
            raise self._refused(function, f"It has no variable {', '.join(sorted(odd))}")
        cells = {name: state.cells.get(name, CellType()) for name in scope.shared}
        for name in cells.keys() & variables.keys():
            cells[name].cell_contents = variables[name]
        values = {name: variables[name] for name in scope.plain if name in variables}
        return State(at, {**own, **values, **dict(zip(held, kept.values(), strict=True))}, cells, state.awaits)

    def _split(self, state: State) -> tuple[Variables, Variables]:
        """Return an author's variables, and the temporaries in the order in which they are kept."""
        variables = {name: value for name, value in state.values.items() if not is_ours(name)}
        for name, cell in state.cells.items():
            try:
                variables[name] = cell.cell_contents
            except ValueError:
                continue
        return variables, {name: value for name, value in state.values.items() if is_ours(name)}

    def _refused(self, function: CompiledFunction, detail: str) -> CodeChanged:
        return CodeChanged(function.name, self.recorded, function.root.hash, detail)


def _kind(temporary: str) -> str:
    return temporary.rstrip("0123456789")
