"""Arguments to payload and back: how a call's arguments are written as one JSON value.

Writing:
* no argument: `null`;
* one argument, and it is the first parameter: its bare value;
* otherwise an object of the arguments given, by parameter name. Defaults are not written. `*args` is a list under its
  name, `**kwargs` an object under its name.

Reading:
* `null` where no argument is required: no arguments;
* an object whose keys are all parameters, and which has every required one: arguments by name;
* anything else: the first parameter.

A sole parameter that takes an object (no hint, `dict`, a dataclass, ...) is read as itself, never by name. A bare value
that would be read in another way than it was given is written by name. `ctx` is not part of any of this.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from inspect import Parameter
from typing import Any

import msgspec

from ..engine.errors import PayloadError
from ..engine.events import Payload
from .conversion import Decode
from .hints import resolved_hints, result_hint, takes_object
from .json import JsonCodec, decoder
from .revival import unmakeable

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_SCALARS = (str, int, float)
_members: Decode = decoder(dict[str, msgspec.Raw])


class Binding:
    """The parameters of one function, without `ctx`, and how calls of it are written and read.

    Hints are resolved at the first use, so that they may name what is defined later; a hint that cannot be resolved
    allows every value.

    Args:
        what: Stands in the sentences of errors, for example "activity 'shop.workflows.charge'".
        skip: How many leading parameters are not part of the payload: 1 where the function takes `ctx`.
        without: Parameters that are not part of the payload.
        as_text: Parameters that are text in the payload, whatever their hint.
        returns: The name of the parameter whose hint is also that of the result; by default the return hint is.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        codec: JsonCodec,
        what: str,
        skip: int,
        without: Collection[str] = (),
        as_text: Collection[str] = (),
        returns: str = "return",
    ) -> None:
        self.function = function
        self.codec = codec
        self._plain = codec.plain
        self.what = what
        self._input = f"The input of {what}"
        self._result = f"The result of {what}"
        signature = inspect.signature(function)
        found = [each for each in list(signature.parameters.values())[skip:] if each.name not in without]
        self._as_text = as_text
        self._returns = returns
        self._follows_other = _after_first(signature.parameters, without)
        self.signature = signature.replace(parameters=found, return_annotation=inspect.Signature.empty)
        self.parameters = {parameter.name: parameter for parameter in found}
        self.required = frozenset(parameter.name for parameter in found if _is_required(parameter))
        leading = found and found[0].kind in (*_POSITIONAL, Parameter.VAR_POSITIONAL)
        self._first = found[0] if leading else None
        self._first_name = self._first.name if self._first is not None else ""
        self._takes_bare = self._first is not None and self.required <= {self._first_name}
        self._is_variadic = self._first is not None and self._first.kind is Parameter.VAR_POSITIONAL
        self._is_plain = all(parameter.kind is Parameter.POSITIONAL_OR_KEYWORD for parameter in found)

    @property
    def _takes(self) -> str:
        """The parameters as they are written in code."""
        written = [
            each.replace(annotation=_Written(each.annotation)) if isinstance(each.annotation, str) else each
            for each in self.parameters.values()
        ]
        return str(self.signature.replace(parameters=written))

    # Writing.

    def encode_call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Payload:
        """Return the arguments of a call as a payload.

        Raises: PayloadError: the arguments do not fit the parameters, or cannot be encoded.
        """
        return self.codec.seal(self._written(args, kwargs), self._input)

    def _written(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Payload:
        if not kwargs and len(args) == 1 and self._takes_bare:
            if isinstance(args[0], _SCALARS):
                # A scalar is read in one way only.
                return self._plain.encode(args[0], self._input)
            return self._write({self._first_name: args if self._is_variadic else args[0]})
        return self._write(self._given(args, kwargs))

    def encode_input(self, value: Any) -> Payload:
        """Return one value, as a caller by name gives it, as a payload.

        A mapping that fits the parameters is their values by name, anything else is the first argument.
        Raises: PayloadError: the function takes no arguments, needs more, or the value cannot be encoded.
        """
        if value is None and not self.required:
            return self.codec.seal("null", self._input)
        if isinstance(value, Mapping) and not self.takes_object and self._fits(value):
            return self.codec.seal(self._write(value), self._input)
        return self.encode_call((value,), {})

    def _given(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the arguments of a call by parameter, without defaults."""
        if self._is_plain and len(args) <= len(self.parameters):
            # What `bind` does below, several times as fast, for a call that fits.
            given = dict(zip(self.parameters, args, strict=False))
            if given.keys().isdisjoint(kwargs) and self._fits(given := {**given, **kwargs}):
                return given
        try:
            return self.signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise PayloadError(f"{self._input} does not fit: {error}. It takes {self._takes}.") from None

    def _write(self, given: Mapping[str, Any]) -> Payload:
        if not given:
            return "null"
        bare = self._bare(given)
        if bare is not None:
            payload = self._plain.encode(bare[0], self._input)
            if not self._reads_otherwise(payload):
                return payload
            if self.takes_object:
                raise PayloadError(
                    f"{self._input} is an explicit None, which cannot be told from leaving the argument out. Make "
                    f"None the default of {next(iter(given))!r}, or leave it out."
                )
        return self._plain.encode(given, self._input)

    def _bare(self, given: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """Return the only argument as a tuple of one, `None` where the arguments are written by name."""
        if len(given) != 1 or self._first_name not in given:
            return None
        value = given[self._first_name]
        if not self._is_variadic:
            return (value,)
        return tuple(value) if len(value) == 1 else None

    def _reads_otherwise(self, payload: Payload) -> bool:
        """Tell whether a bare value would be read as something else than the first argument."""
        if payload == "null":
            return not self.required and self._first is not None and self._first.default is not None
        return self._by_name(self.codec.opened(payload)) is not None

    # Reading.

    def decode_call(self, payload: Payload) -> Arguments:
        """Return the arguments of a payload, each decoded by its parameter's hint.

        Raises: PayloadError: the payload does not fit the parameters or their hints.
        """
        payload = self.codec.opened(payload)
        if payload == "null" and not self.required:
            return (), {}
        members = self._by_name(payload)
        if members is not None:
            decoders, labels = self._decoders, self._labels
            return self._spread({name: decoders[name](raw, labels[name]) for name, raw in members.items()})
        if self._first is None:
            raise PayloadError(f"{self._input} does not fit. It takes {self._takes}.")
        if missing := self.required - {self._first_name}:
            raise PayloadError(
                f"{self._input} lacks {', '.join(sorted(missing))}. It takes {self._takes}: pass an object with "
                f"these keys."
            )
        return (self._first_decoder(payload, self._input),), {}

    def _by_name(self, payload: Payload) -> Mapping[str, msgspec.Raw] | None:
        """Return the members of a payload that is read by name, `None` for one that is the first argument."""
        if not payload.lstrip().startswith("{") or self.takes_object:
            return None
        members: Mapping[str, msgspec.Raw] = _members(payload, self._input)
        return members if self._fits(members) else None

    def _fits(self, values: Mapping[Any, Any]) -> bool:
        return values.keys() <= self.parameters.keys() and self.required <= values.keys()

    def _spread(self, values: Mapping[str, Any]) -> Arguments:
        """Turn values by name into the arguments of a call; what stands before a given one gets its default."""
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            match parameter.kind:
                case Parameter.POSITIONAL_ONLY | Parameter.POSITIONAL_OR_KEYWORD if name not in self._follows_other:
                    args.append(values.get(name, parameter.default))
                case Parameter.VAR_POSITIONAL:
                    args.extend(values.get(name, ()))
                case Parameter.KEYWORD_ONLY | Parameter.POSITIONAL_OR_KEYWORD if name in values:
                    kwargs[name] = values[name]
                case Parameter.VAR_KEYWORD if name in values:
                    self._refuse_twice(values[name])
                    kwargs.update(values[name])
        return tuple(args), kwargs

    def _refuse_twice(self, options: Mapping[str, Any]) -> None:
        for name in options:
            if name in self.parameters and self.parameters[name].kind in (
                Parameter.POSITIONAL_OR_KEYWORD,
                Parameter.KEYWORD_ONLY,
            ):
                raise PayloadError(f"{self._input} has {name!r} twice. It takes {self._takes}.")

    def misfits(self, given: Mapping[str, Any]) -> dict[str, str]:
        """Return what is wrong with arguments given by name, by parameter; empty where each of them fits its hint."""
        found: dict[str, str] = {}
        for name, value in given.items():
            label = self._labels[name]
            try:
                self._decoders[name](self.codec.opened(self._plain.encode(value, label)), label)
            except PayloadError as error:
                found[name] = str(error)
        return found

    # Results.

    def encode_result(self, value: Any) -> Payload:
        """Return what the function returned as a payload. Raises: PayloadError: it cannot be encoded."""
        return self.codec.encode(value, self._result)

    def decode_result(self, payload: Payload) -> Any:
        """Return a result decoded by the return hint. Raises: PayloadError: it does not fit the hint."""
        return self._result_decoder(self.codec.opened(payload), self._result)

    # Hints.

    @cached_property
    def takes_object(self) -> bool:
        """Whether the only parameter takes an object as its value, so that objects are not read by name."""
        if len(self.parameters) != 1 or self._first is None or self._is_variadic:
            return False
        return takes_object(self.hint(self._first_name))

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return resolved_hints(self.function)[0]

    def hint(self, name: str) -> Any:
        """Return what values of a parameter, or of `return`, are decoded as; `Any` where nothing says."""
        found: Any = str if name in self._as_text else self._hints.get(name, Any)
        if name == "return":
            return result_hint(found) if self._returns == name else self.hint(self._returns)
        match self.parameters[name]:
            case Parameter(kind=Parameter.VAR_POSITIONAL):
                return list[found]
            case Parameter(kind=Parameter.VAR_KEYWORD):
                return dict[str, found]
            case Parameter(default=None) if found is not Any:
                return found | None
        return found

    @cached_property
    def _decoders(self) -> dict[str, Decode]:
        return {name: self._decoder(name) for name in self.parameters}

    @cached_property
    def _labels(self) -> dict[str, str]:
        return {name: f"The argument {name!r} of {self.what}" for name in self.parameters}

    @cached_property
    def _first_decoder(self) -> Decode:
        if self._is_variadic:
            return decoder(self._hints.get(self._first_name, Any))
        return self._decoders[self._first_name]

    @cached_property
    def _result_decoder(self) -> Decode:
        return self._decoder("return")

    def _decoder(self, name: str) -> Decode:
        try:
            return decoder(self.hint(name))
        except PayloadError as error:
            label = self._labels.get(name, self._result)
            raise PayloadError(f"{label} has a type hint that cannot be used. {error}") from error

    def problems(self) -> list[str]:
        """Return what is wrong with the hints, one sentence each."""
        names = [*self.parameters, "return"]
        unresolved = resolved_hints(self.function)[1]
        found = [
            f"{self.what} has the type hint {unresolved[name]!r} on {name!r}, which cannot be resolved at run time; "
            f"values of it are not decoded."
            for name in names
            if name in unresolved
        ]
        for name in names:
            try:
                self._decoder(name)
            except PayloadError as error:
                found.append(str(error))
            else:
                label = self._labels.get(name, self._result)
                found += [f"{label}: {reason}." for reason in unmakeable(self.hint(name))]
        return found

    # Schemas.

    def input_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the payload: of the sole object it takes, else of an object by parameter."""
        if self.takes_object:
            return self.codec.schema(self.hint(self._first_name))
        properties: dict[str, Any] = {}
        definitions: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            properties[name] = self.codec.schema(self.hint(name))
            definitions |= properties[name].pop("$defs", {})
            properties[name] |= self._default(parameter)
        made: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
        if self.required:
            made["required"] = [name for name in self.parameters if name in self.required]
        return made | ({"$defs": definitions} if definitions else {})

    def output_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the result."""
        return self.codec.schema(self.hint("return"))

    def _default(self, parameter: Parameter) -> dict[str, Any]:
        if parameter.default is Parameter.empty or parameter.name in self._as_text:
            return {}
        try:
            return {"default": self._plain.decode(self._plain.encode(parameter.default))}
        except PayloadError:
            return {}


class _Written:
    """An annotation that is shown without the quotes of a string."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _after_first(names: Collection[str], left_out: Collection[str]) -> frozenset[str]:
    """Return the names that come after the first of those left out; they cannot be given by position."""
    listed = list(names)
    first = next((place for place, name in enumerate(listed) if name in left_out), len(listed))
    return frozenset(listed[first:])


def _is_required(parameter: Parameter) -> bool:
    variadic = parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    return parameter.default is Parameter.empty and not variadic
