"""Objects that are found again by their name: modules, classes, functions of modules, members of enums, type hints."""

from __future__ import annotations

import functools
import importlib
import operator
import sys
import types
import typing
from enum import Enum
from typing import TYPE_CHECKING, Any

from ...errors import CheckpointDamaged
from .base import Data, Kind

if TYPE_CHECKING:
    from ..dumping import Writer
    from ..loading import Reader


def lookup(name: object) -> Any:
    """Return what stands under "module:qualname" in what is imported. Raises: CheckpointDamaged."""
    if not isinstance(name, str) or name.count(":") != 1:
        raise CheckpointDamaged(f"{name!r:.80} is no name")
    module, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        # Of a class or module only what it holds itself: nothing that is computed.
        found = vars(found).get(part) if isinstance(found, type | types.ModuleType) else None
        if isinstance(found, staticmethod):
            found = found.__func__
    if found is None:
        raise CheckpointDamaged(f"{name} is not there; import its module, or bring it back")
    return found


def name_of(value: Any) -> str | None:
    """Return the name under which `lookup` finds this very object, if it does."""
    module, qualname = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(qualname, str):
        return None
    name = f"{module}:{qualname}"
    try:
        return name if lookup(name) is value else None
    except CheckpointDamaged:
        return None


class Named(Kind):
    tag = "named"

    def dump(self, writer: Writer, value: Any) -> list[Data]:
        name = name_of(value)
        if name is None:
            raise writer.unstorable(
                value,
                f"It is not found under the name {getattr(value, '__qualname__', '?')!r} in its module: move it to the "
                f"top of a module",
            )
        return [name]

    def make(self, reader: Reader, *row: Any) -> Any:
        found = lookup(row[0])
        if not isinstance(found, type | types.FunctionType | types.BuiltinFunctionType):
            raise CheckpointDamaged(f"{row[0]} is no class and no function")
        return found


class Modules(Kind):
    tag = "module"

    def dump(self, writer: Writer, value: types.ModuleType) -> list[Data]:
        if sys.modules.get(value.__name__) is not value:
            raise writer.unstorable(value)
        return [value.__name__]

    def make(self, reader: Reader, *row: Any) -> Any:
        name = row[0]
        if not isinstance(name, str):
            raise CheckpointDamaged(f"{name!r:.80} is no name of a module")
        if name not in sys.modules and name.partition(".")[0] in sys.stdlib_module_names:
            # A function had imported it; only Python's own may be imported because data says so.
            return importlib.import_module(name)
        if name not in sys.modules:
            raise CheckpointDamaged(f"the module {name} is not imported")
        return sys.modules[name]


class Enums(Kind):
    tag = "enum"

    def dump(self, writer: Writer, value: Enum) -> list[Data]:
        return [writer.ref(type(value)), writer.ref(value.value)]

    def make(self, reader: Reader, *row: Any) -> Any:
        cls, value = reader.get(row[0]), reader.get(row[1])
        if not (isinstance(cls, type) and issubclass(cls, Enum)):
            raise CheckpointDamaged(f"{cls!r:.80} is no enum")
        return cls(value)


FORMS: dict[str, Any] = {"Literal": typing.Literal, "Annotated": typing.Annotated}
"""Hints of `typing` that are no classes."""


class Aliases(Kind):
    """`list[int]`, `int | None`, `Optional[int]`, `Literal["a"]`, `Annotated[int, ...]`, `Page[Order]`."""

    tag = "alias"

    def dump(self, writer: Writer, value: Any) -> list[Data]:
        origin = typing.get_origin(value)
        arguments = [None if each is type(None) else each for each in typing.get_args(value)]
        form = next((name for name, found in FORMS.items() if found is origin), None)
        union = origin in (typing.Union, types.UnionType)
        first = None if union else form or writer.ref(origin)
        return [first, *(writer.ref(argument) for argument in arguments)]

    def make(self, reader: Reader, *row: Any) -> Any:
        origin, *rest = row
        arguments = tuple(reader.get(item) for item in rest)
        if origin is None:
            return functools.reduce(operator.or_, (type(None) if each is None else each for each in arguments))
        if isinstance(origin, str) and origin in FORMS:
            return FORMS[origin][arguments]
        found = reader.get(origin)
        if not isinstance(found, type):
            raise CheckpointDamaged(f"{found!r:.80} is no class")
        generic: Any = found
        return generic[arguments] if hasattr(found, "__parameters__") else types.GenericAlias(found, arguments)


class AnyHint(Kind):
    tag = "Any"

    def dump(self, writer: Writer, value: Any) -> list[Data]:
        return []

    def make(self, reader: Reader, *row: Any) -> Any:
        return Any


NAMED: dict[type, Kind] = {
    types.ModuleType: Modules(),
    types.GenericAlias: Aliases(),
    types.UnionType: Aliases(),
}
