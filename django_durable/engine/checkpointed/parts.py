"""The parts of a program: what its code can hold, and what no data can be.

Theory of operation. A checkpoint is a graph of plain values in which futures, tasks, the context and the like stand as
tokens. `Saving` hands out a token for each part that the walk through the graph meets, and appends the part's state to
`states`, which is walked last; so parts that only a state leads to are found as well. `Loading` makes a shell from each
token, for hashes and identity, and gives the shells their states once all of the graph is there.

A `Kind` says this for one kind of part. The token of a part is `[name of its kind, number, *scalars]`; its state stands
at `number`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import CheckpointDamaged

if TYPE_CHECKING:
    from ..base import BaseProgram

Token = list[Any]


class Kind(Protocol):
    """One kind of part."""

    name: str

    def owns(self, part: Any) -> bool:
        """Tell whether `part` is of this kind."""

    def scalars(self, part: Any, saving: Saving) -> Sequence[Any]:
        """Return what the shell is made from: JSON-ready, tokens of other parts included."""

    def state(self, part: Any, saving: Saving) -> Any:
        """Return the rest of the part, as values that the graph can hold."""

    def shell(self, scalars: Sequence[Any], loading: Loading) -> Any:
        """Return the part without its state."""

    def fill(self, part: Any, state: Any, loading: Loading) -> None:
        """Give a shell its state."""


class Saving:
    """Writes the parts of a program. `states` belongs into the graph, behind everything else."""

    def __init__(self, program: BaseProgram, kinds: Sequence[Kind], constants: Sequence[tuple[str, Any]]) -> None:
        self.program = program
        self.states: list[Any] = []
        self._kinds = kinds
        self._constants = {id(value): name for name, value in constants}
        self._tokens: dict[int, tuple[Token, Any]] = {}

    def reference(self, part: Any) -> Token | None:
        """Return the token of a part, None for anything else."""
        if (known := self._tokens.get(id(part))) is not None:
            return known[0]
        if (name := self._constants.get(id(part))) is not None:
            return [name]
        kind = next((each for each in self._kinds if each.owns(part)), None)
        if kind is None:
            return None
        number = len(self.states)
        self.states.append(None)
        token: Token = [kind.name, number]
        # Kept with its part, so that no other object can take its id; entered first, as parts refer to each other.
        self._tokens[id(part)] = token, part
        token += kind.scalars(part, self)
        self.states[number] = kind.state(part, self)
        return token


class Loading:
    """Makes the parts of a program from their tokens, then fills them."""

    def __init__(self, program: BaseProgram, kinds: Sequence[Kind], constants: Sequence[tuple[str, Any]]) -> None:
        self.program = program
        self._kinds = {kind.name: kind for kind in kinds}
        self._constants = dict(constants)
        self._parts: dict[int, tuple[Kind, Any]] = {}

    def resolve(self, token: Token) -> Any:
        """Return the part of a token, the same one each time. Raises: CheckpointDamaged: there is no such kind."""
        name, *rest = token
        if not rest:
            if name not in self._constants:
                raise CheckpointDamaged(f"there is no part {name!r}")
            return self._constants[name]
        number, *scalars = rest
        if number not in self._parts:
            if name not in self._kinds:
                raise CheckpointDamaged(f"there is no kind of part {name!r}")
            kind = self._kinds[name]
            self._parts[number] = kind, kind.shell(scalars, self)
        return self._parts[number][1]

    def with_callbacks(self, states: Sequence[Any]) -> list[tuple[Any, Any]]:
        """Return the futures and tasks, each with its state, those met first first."""
        found = [(part, states[number]) for number, (_, part) in sorted(self._parts.items(), key=lambda item: item[0])]
        return [(part, state) for part, state in found if isinstance(state, dict) and "callbacks" in state]

    def fill(self, states: Sequence[Any]) -> None:
        """Give every part its state, those met first first."""
        for number, (kind, part) in sorted(self._parts.items(), key=lambda item: item[0]):
            kind.fill(part, states[number], self)
