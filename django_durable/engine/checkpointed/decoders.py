"""How registered code is written: by its name, to be looked up again where the checkpoint is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..decoding import ResultOf
from ..program import Environment
from .parts import Kind, Loading, Saving


class Definitions:
    """Activities and orchestrations that code holds in its variables."""

    name = "definition"

    def owns(self, part: Any) -> bool:
        return getattr(type(part), "what", None) in ("activity", "orchestration")

    def scalars(self, part: Any, saving: Saving) -> Sequence[Any]:
        return _reference(part.name, getattr(part, "version", None))

    def state(self, part: Any, saving: Saving) -> None:
        return None

    def shell(self, scalars: Sequence[Any], loading: Loading) -> Any:
        return _looked_up(loading.program.environment, scalars)

    def fill(self, part: Any, state: Any, loading: Loading) -> None:
        """Nothing is left to do."""


class Decoders(Definitions):
    """What decodes by the hints of an activity or orchestration."""

    name = "result"

    def owns(self, part: Any) -> bool:
        return type(part) is ResultOf

    def scalars(self, part: ResultOf, saving: Saving) -> Sequence[Any]:
        return _reference(part.callee.name, part.version)

    def shell(self, scalars: Sequence[Any], loading: Loading) -> ResultOf:
        return ResultOf(_looked_up(loading.program.environment, scalars), *scalars[1:])


def _reference(name: str, version: str | None) -> list[str]:
    """Return the name of an activity, or the name and the version of an orchestration."""
    return [name] if version is None else [name, version]


def _looked_up(environment: Environment, reference: Sequence[Any]) -> Any:
    """Return the activity or orchestration of a reference. Raises: NotRegistered."""
    match reference:
        case [str(name)]:
            return environment.activity(name)
        case [str(name), str(version)]:
            return environment.orchestration(name, version)


KINDS: tuple[Kind, ...] = (Definitions(), Decoders())
