"""Instances of classes: their class by its name, and their attributes. No constructor runs."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...errors import CheckpointDamaged
from .base import Data, Kind
from .containers import CONTAINERS

if TYPE_CHECKING:
    from ..dumping import Writer
    from ..loading import Reader

_HEAP = 1 << 9
"""Py_TPFLAGS_HEAPTYPE: the class was made while Python ran, as by a class statement."""

_IMMUTABLE = 1 << 8
"""Py_TPFLAGS_IMMUTABLETYPE: the class is of C after all."""


class Objects(Kind):
    """Instances that are nothing but attributes, in `__dict__` or slots; dataclasses are such."""

    tag = "object"
    fills = True

    def dump(self, writer: Writer, value: Any) -> list[Data]:
        return [writer.ref(type(value), "'s class"), *attributes(writer, value)]

    def make(self, reader: Reader, *row: Any) -> Any:
        cls = reader.get(row[0])
        if not isinstance(cls, type) or not is_plain(cls):
            raise CheckpointDamaged(f"{cls!r:.80} is no class of plain objects")
        return object.__new__(cls)

    def fill(self, reader: Reader, made: Any, *row: Any) -> None:
        set_attributes(reader, made, row[1:])


def is_plain(cls: type) -> bool:
    """Whether instances of a class are nothing but their attributes."""
    return cls is not object and all(base is object or _is_of_python(base) for base in cls.__mro__)


def _is_of_python(cls: type) -> bool:
    of_c = cls.__flags__ & _IMMUTABLE or isinstance(vars(cls).get("__new__"), types.BuiltinFunctionType)
    return bool(cls.__flags__ & _HEAP) and not of_c


def attributes(writer: Writer, value: Any) -> Iterator[Data]:
    """Yield names and values of attributes, in turn."""
    for name, attribute in [*_slots(value), *getattr(value, "__dict__", {}).items()]:
        yield name
        yield writer.ref(attribute, f".{name}")


def set_attributes(reader: Reader, made: Any, row: tuple[Any, ...]) -> None:
    """Set attributes as `attributes` has written them, past whatever the class does when they are set."""
    slots = {name for base in type(made).__mro__ for name, member in vars(base).items() if _is_slot(member)}
    for name, value in zip(row[::2], row[1::2], strict=True):
        if not isinstance(name, str):
            raise CheckpointDamaged(f"{name!r:.80} is no attribute")
        if name in slots:
            object.__setattr__(made, name, reader.get(value))
        else:
            made.__dict__[name] = reader.get(value)


def _is_slot(member: object) -> bool:
    return isinstance(member, types.MemberDescriptorType)


def _slots(value: Any) -> Iterator[tuple[str, Any]]:
    for base in type(value).__mro__:
        if base.__flags__ & _HEAP:
            for name, member in vars(base).items():
                if _is_slot(member):
                    try:
                        yield name, member.__get__(value)
                    except AttributeError:
                        continue


class Errors(Kind):
    """Exceptions, with what caused them and what they came from, and without their tracebacks."""

    tag = "error"
    fills = True

    def dump(self, writer: Writer, value: BaseException) -> list[Data]:
        group = value.exceptions if isinstance(value, BaseExceptionGroup) else None
        return [
            writer.ref(type(value), "'s class"),
            writer.ref(value.args, ".args"),
            writer.ref(group, ".exceptions"),
            writer.ref(value.__cause__, ".__cause__"),
            writer.ref(value.__context__, ".__context__"),
            value.__suppress_context__,
            *attributes(writer, value),
            *_members(writer, value),
        ]

    def make(self, reader: Reader, *row: Any) -> Any:
        cls = reader.get(row[0])
        if not isinstance(cls, type) or not issubclass(cls, BaseException):
            raise CheckpointDamaged(f"{cls!r:.80} is no class of exceptions")
        if issubclass(cls, BaseExceptionGroup):
            message, *_ = reader.get(row[1])
            return _builtin(cls).__new__(cls, message, list(reader.get(row[2])))
        return _builtin(cls).__new__(cls)

    def fill(self, reader: Reader, made: BaseException, *row: Any) -> None:
        _, args, _, cause, context, suppress, *others = row
        made.args = reader.get(args)
        made.__cause__ = reader.get(cause)
        made.__context__ = reader.get(context)
        made.__suppress_context__ = bool(suppress)
        members = {name for name, _ in _member_names(type(made))}
        for name, value in zip(others[::2], others[1::2], strict=True):
            if name in members:
                setattr(made, name, reader.get(value))
            else:
                set_attributes(reader, made, (name, value))


def _builtin(cls: type[BaseException]) -> Any:
    return next(base for base in cls.__mro__ if not base.__flags__ & _HEAP)


def _member_names(cls: type) -> Iterator[tuple[str, types.MemberDescriptorType]]:
    for base in cls.__mro__:
        if base is not object and not base.__flags__ & _HEAP:
            for name, member in vars(base).items():
                # What an AttributeError was asked of serves suggestions only, and may be anything.
                if isinstance(member, types.MemberDescriptorType) and name not in ("obj", "__suppress_context__"):
                    yield name, member


def _members(writer: Writer, value: BaseException) -> Iterator[Data]:
    if isinstance(value, BaseExceptionGroup):
        return
    for name, member in _member_names(type(value)):
        if (found := member.__get__(value)) is not None:
            yield name
            yield writer.ref(found, f".{name}")


class Derived(Kind):
    """Instances of subclasses of built-in containers, named tuples too: what is in them, and their attributes."""

    tag = "derived"
    fills = True
    hashes = True

    def dump(self, writer: Writer, value: Any) -> list[Data]:
        base = derived_from(type(value))
        assert base is not None
        plain = base(value) if base is not dict else dict(value.items())
        return [
            writer.ref(type(value), "'s class"),
            list(CONTAINERS[base].dump(writer, plain)),
            *attributes(writer, value),
        ]

    def make(self, reader: Reader, *row: Any) -> Any:
        cls = reader.get(row[0])
        base: Any = derived_from(cls) if isinstance(cls, type) else None
        if base is None:
            raise CheckpointDamaged(f"{cls!r:.80} is no class of containers")
        if base in (tuple, frozenset):
            return base.__new__(cls, CONTAINERS[base].make(reader, *row[1]))
        return base.__new__(cls)

    def fill(self, reader: Reader, made: Any, *row: Any) -> None:
        base = derived_from(type(made))
        assert base is not None
        if base is list:
            list.extend(made, [reader.get(item) for item in row[1]])
        elif base is set:
            with reader.whole():
                set.update(made, [reader.get(item) for item in row[1]])
        elif base is dict:
            for key, item in zip(row[1][::2], row[1][1::2], strict=True):
                with reader.whole():
                    made_key = reader.get(key)
                dict.__setitem__(made, made_key, reader.get(item))
        set_attributes(reader, made, row[2:])


def derived_from(cls: type) -> type[Any] | None:
    """Return the built-in container that a class from a class statement derives from, if it does from one."""
    native = [base for base in cls.__mro__ if base is not object and not base.__flags__ & _HEAP]
    if len(native) == 1 and native[0] in (list, tuple, dict, set, frozenset) and native[0] is not cls:
        return native[0]
    return None
