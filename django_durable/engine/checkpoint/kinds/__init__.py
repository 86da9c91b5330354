"""The kinds of objects that a checkpoint stores; what is of no kind here is refused. Data of none is ever pickled."""

from __future__ import annotations

import functools
import types
import typing
from enum import Enum
from pathlib import PurePath

from ..frame import Frame
from ..function import CompiledFunction
from .base import Hook, Kind
from .code import Cells, Compiled, Frames, Functions, Methods, Partials, Tracebacks
from .containers import CONTAINERS
from .iterators import ITERATORS
from .named import NAMED, Aliases, AnyHint, Enums, Named
from .objects import Derived, Errors, Objects, derived_from, is_plain
from .scalars import SCALARS, Paths

__all__ = ["KINDS", "TAGS", "Hook", "kind_of"]

KINDS: dict[type, Kind] = {
    **SCALARS,
    **CONTAINERS,
    **ITERATORS,
    **NAMED,
    types.CellType: Cells(),
    types.TracebackType: Tracebacks(),
    Frame: Frames(),
    CompiledFunction: Compiled(),
}
"""By exact type; nothing of these is ever asked to be a reference."""

FUNCTIONS, METHODS, CLASSES = Functions(), Methods(), Named()
ENUMS, ERRORS, OBJECTS, DERIVED = Enums(), Errors(), Objects(), Derived()
ALIASES, ANY, PARTIALS, PATHS = Aliases(), AnyHint(), Partials(), Paths()


def kind_of(value: object) -> Kind | None:
    """Return the kind of an object that is not in `KINDS`, or None: it cannot be stored."""
    match value:
        case types.FunctionType():
            return FUNCTIONS
        case types.MethodType():
            return METHODS
        case types.BuiltinFunctionType() | types.MethodWrapperType():
            owner = value.__self__
            return CLASSES if owner is None or isinstance(owner, types.ModuleType) else METHODS
        case type():
            return CLASSES
        case Enum():
            return ENUMS
        case BaseException():
            return ERRORS
        case functools.partial():
            return PARTIALS
        case PurePath():
            return PATHS
    if value is typing.Any:
        return ANY
    if typing.get_origin(value) is not None:
        return ALIASES
    if derived_from(type(value)):
        return DERIVED
    return OBJECTS if is_plain(type(value)) else None


_OTHERS: list[Kind] = [FUNCTIONS, METHODS, CLASSES, ENUMS, ERRORS, OBJECTS, DERIVED, ALIASES, ANY, PARTIALS, PATHS]

TAGS: dict[str, Kind] = {kind.tag: kind for kind in [*KINDS.values(), *_OTHERS]}
