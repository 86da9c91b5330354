"""How local steps that wait to be run are written: the callable and its arguments, as the code gave them."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import Context
from typing import Any

from ..decoding import ResultOf
from ..steps import LocalStep, is_local
from .parts import Kind, Loading, Saving


class Steps:
    """Calls of callables that no registry has."""

    name = "step"

    def owns(self, part: Any) -> bool:
        return type(part) is LocalStep

    def scalars(self, part: LocalStep, saving: Saving) -> Sequence[Any]:
        return []

    def state(self, part: LocalStep, saving: Saving) -> dict[str, Any]:
        return {"function": part.function, "args": part.args, "kwargs": part.kwargs, "context": part.context}

    def shell(self, scalars: Sequence[Any], loading: Loading) -> LocalStep:
        return LocalStep.__new__(LocalStep)

    def fill(self, part: LocalStep, state: Any, loading: Loading) -> None:
        callee = loading.program.environment.step(state["function"])
        filled = {"callee": callee, "args": state["args"], "kwargs": state["kwargs"]}
        # Checkpoints that were made before contexts were in them have none.
        filled["context"] = state.get("context") or Context()
        for name, value in filled.items():
            object.__setattr__(part, name, value)  # It is frozen for everybody else.


class StepResults(Steps):
    """What decodes by the hints of a local step."""

    name = "step result"

    def owns(self, part: Any) -> bool:
        return type(part) is ResultOf and is_local(part.callee.name)

    def state(self, part: Any, saving: Saving) -> dict[str, Any]:
        return {"function": part.callee.function}

    def shell(self, scalars: Sequence[Any], loading: Loading) -> Any:
        return ResultOf.__new__(ResultOf)

    def fill(self, part: Any, state: Any, loading: Loading) -> None:
        callee = loading.program.environment.step(state["function"])
        for name, value in {"callee": callee, "version": None}.items():
            object.__setattr__(part, name, value)


KINDS: tuple[Kind, ...] = (Steps(), StepResults())
