"""Names to code: `@orchestration`, `@activity`, and the `Registry` they record in.

Decorators only record: they read no settings, import no models and resolve no hints, so a module may be imported at any
time. Names default to the path of the function (`shop.workflows.checkout`); a name given explicitly survives moving it.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Callable, Iterable
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from .codec import JsonCodec
from .codec.references import MODEL_INSTANCES
from .conf import settings
from .definitions import (
    DEFAULT_VERSION,
    MODES,
    VERSION_LENGTH,
    Activity,
    ActivityOptions,
    Definition,
    DurableFunction,
    Mode,
    Orchestration,
    Starter,
)
from .engine.checkpoint import CompiledFunction
from .engine.checkpointed.awaiting import compiled
from .engine.durations import Duration
from .engine.errors import InvalidArgument, NotRegistered
from .engine.program import Limits
from .engine.retry import RetryPolicy
from .steps import Step

P = ParamSpec("P")
R = TypeVar("R")
Ref = str | Callable[..., Any]
_VERSION = re.compile(r"\d{1,9}(\.\d{1,9})*", re.ASCII)
logger = logging.getLogger("django_durable.orchestration")


class Registry:
    """Orchestrations and activities by name. There is a default one; others are made by hand, for tests or plugins.

    `environment` is what the engine runs with.
    """

    def __init__(self) -> None:
        self.codec = JsonCodec(limit=lambda: settings.MAX_PAYLOAD_BYTES, name=lambda: settings.CODEC)
        self.environment = RegistryEnvironment(self)
        self._orchestrations: dict[str, dict[str, Orchestration[..., Any]]] = {}
        self._latest: dict[str, Orchestration[..., Any]] = {}
        self._activities: dict[str, Activity[..., Any]] = {}
        self._functions: dict[str, CompiledFunction] = {}
        self._programs: dict[str, CompiledFunction | DurableFunction[..., Any]] = {}
        # By id, because a function may be of a class that cannot be hashed; definitions keep theirs alive.
        self._by_function: dict[int, Definition] = {}
        self._starter: Starter | None = None

    # Decorators.

    @overload
    def orchestration(self, function: Callable[Concatenate[Any, P], R], /) -> Orchestration[P, R]: ...
    @overload
    def orchestration(
        self,
        name: str | None = None,
        /,
        *,
        version: str = DEFAULT_VERSION,
        codec: str | None = None,
        mode: Mode = "replay",
    ) -> Callable[[Callable[Concatenate[Any, P], R]], Orchestration[P, R]]: ...
    def orchestration(
        self,
        name: Any = None,
        /,
        *,
        version: str = DEFAULT_VERSION,
        codec: str | None = None,
        mode: Mode = "replay",
    ) -> Any:
        """Register a function (generator, `async def` or plain) as an orchestration.

        `@orchestration`, or `@orchestration("Checkout", version="1.1.0")`. Versions are dotted whole numbers; new
        instances get the highest registered one.

        Args:
            codec: Name of the codec that its payloads are stored by, by default the project's.
            mode: How its executions come back into memory: "replay" runs the code again over the history, "checkpoint"
                loads the local variables and goes on, for an `async def` of any length.
        Raises:
            InvalidArgument: not such a function, a bad name, version or mode, or a name that other code has.
            NotCompilable: no checkpoint can be taken of the function; the text says where and what to write instead.
        """
        if name is not None and not isinstance(name, str):
            return self._add_orchestration(name, None, version, codec, mode)
        return lambda function: self._add_orchestration(function, name, version, codec, mode)

    @overload
    def activity(self, function: Callable[P, R], /) -> Activity[P, R]: ...
    @overload
    def activity(
        self,
        name: str | None = None,
        /,
        *,
        retry: RetryPolicy | None = None,
        timeout: Duration | None = None,
        total_timeout: Duration | None = None,
        tag: str | None = None,
        priority: int = 0,
        atomic: bool = False,
    ) -> Callable[[Callable[P, R]], Activity[P, R]]: ...
    def activity(self, name: Any = None, /, **options: Any) -> Any:
        """Register a function (`def` or `async def`) as an activity; `ctx` as its first parameter is optional.

        Args:
            retry: When a failed attempt is tried again; without a policy it is not.
            timeout, total_timeout: Bounds of one attempt, and of all attempts with their pauses.
            tag: Routes it to workers that serve the tag.
            priority: Higher runs first.
            atomic: Its database writes and its completion are one transaction.
        Raises: InvalidArgument: not such a function, an option that cannot mean anything, or a name other code has.
        """
        given = ActivityOptions(**options)
        if name is not None and not isinstance(name, str):
            return self._add_activity(name, None, given)
        return lambda function: self._add_activity(function, name, given)

    def durable_function(self, function: Callable[..., Any]) -> CompiledFunction:
        """Compile an `async def` that orchestrations with checkpoints call, and keep it by its name.

        Raises: NotCompilable: the text says where and what to write instead.
        """
        made = compiled(function)
        self._functions[made.name] = made
        # Not among the orchestrations that are listed: most are called by others, and not meant to be started.
        self._programs[made.name.replace(":", ".")] = made
        return made

    def _add_orchestration(
        self, function: Any, name: str | None, version: str, codec: str | None, mode: Mode
    ) -> Orchestration[..., Any]:
        number = version_key(version)
        if mode not in MODES:
            raise InvalidArgument(f"The mode is {mode!r:.80}, expected {' or '.join(map(repr, MODES))}.")
        made: Orchestration[..., Any] = Orchestration(
            function,
            name=name,
            version=version,
            mode=mode,
            codec=self.codec if codec is None else self.codec.by(lambda: codec),
            codec_name=codec,
            registry=self,
        )
        versions = self._orchestrations.setdefault(made.name, {})
        same = [each for each in versions.values() if version_key(each.version) == number]
        for each in same:
            _refuse_duplicate(each, made, f"orchestration {made.name!r} version {version!r}")
            del versions[each.version]
            self._by_function.pop(id(each.function), None)
        versions[version] = self._by_function[id(made.function)] = made
        self._latest[made.name] = max(versions.values(), key=lambda each: version_key(each.version))
        return made

    def _add_activity(self, function: Any, name: str | None, options: ActivityOptions) -> Activity[..., Any]:
        made: Activity[..., Any] = Activity(function, name=name, options=options, codec=self.codec.plain)
        if (known := self._activities.get(made.name)) is not None:
            _refuse_duplicate(known, made, f"activity {made.name!r}")
            self._by_function.pop(id(known.function), None)
        self._activities[made.name] = self._by_function[id(made.function)] = made
        return made

    # Look-ups.

    def get_orchestration(self, ref: Ref, version: str | None = None) -> Orchestration[..., Any]:
        """Return an orchestration. By name, the version defaults to the latest; a definition is of its own version.

        Raises: NotRegistered: with the names or versions that come close.
        """
        if isinstance(ref, str):
            name = ref
        else:
            known = ref if isinstance(ref, Orchestration) else self._orchestration_of(ref)
            name, version = known.name, version or known.version
        found = self._latest.get(name) if version is None else self._orchestrations.get(name, {}).get(version)
        found = found or self._program(name, version)
        if found is None:
            raise self._no_orchestration(name, version)
        return found

    def get_activity(self, ref: Ref) -> Activity[..., Any]:
        """Return an activity by name, definition or function.

        Raises: NotRegistered: with the names that come close.
        """
        name = ref if isinstance(ref, str) else (ref if isinstance(ref, Activity) else self._activity_of(ref)).name
        found = self._activities.get(name)
        if found is None:
            raise NotRegistered("activity", name, known=_close(name, self._activities))
        return found

    def get_step(self, function: Callable[..., Any]) -> Step | None:
        """Return a callable as a local step, or None for an activity, decorated or its function.

        Raises: InvalidArgument: nothing that can run as a step.
        """
        if isinstance(function, Activity) or isinstance(self._by_function.get(id(function)), Activity):
            return None
        return Step(function, self.codec.plain)

    def get_durable_function(self, name: str) -> CompiledFunction:
        """Return a function that `durable_function` compiled. Raises: NotRegistered: with the names that come close."""
        found = self._functions.get(name)
        if found is None:
            raise NotRegistered("durable function", name, known=_close(name, self._functions))
        return found

    def orchestrations(self) -> list[Orchestration[..., Any]]:
        """Return every version of every orchestration, by name and then version, lowest first."""
        found = [each for versions in self._orchestrations.values() for each in versions.values()]
        return sorted(found, key=lambda each: (each.name, version_key(each.version)))

    def activities(self) -> list[Activity[..., Any]]:
        """Return every activity, by name."""
        return sorted(self._activities.values(), key=lambda each: each.name)

    def versions(self, name: str) -> list[str]:
        """Return the versions of an orchestration, lowest first; empty for an unknown name."""
        return sorted(self._orchestrations.get(name, ()), key=version_key)

    @property
    def names(self) -> list[str]:
        """The names of the orchestrations, sorted."""
        return sorted(self._orchestrations)

    def _program(self, name: str, version: str | None) -> Orchestration[..., Any] | None:
        """Return a durable function as an orchestration, made when it is first asked for; None for another name."""
        made = self._programs.get(name)
        if made is None or version not in (None, DEFAULT_VERSION):
            return None
        if not isinstance(made, DurableFunction):
            made = self._programs[name] = DurableFunction(made, codec=self.codec, registry=self)
        return made

    def _no_orchestration(self, name: str, version: str | None) -> NotRegistered:
        if name in self._orchestrations:
            known = [f"{name} {each}" for each in self.versions(name)]
            return NotRegistered("orchestration", name, version=version, known=known)
        return NotRegistered("orchestration", name, version=version, known=_close(name, self._orchestrations))

    def _orchestration_of(self, function: Any) -> Orchestration[..., Any]:
        found = self._by_function.get(id(function))
        if isinstance(found, Orchestration):
            return found
        raise NotRegistered("orchestration", _path(function))

    def _activity_of(self, function: Any) -> Activity[..., Any]:
        found = self._by_function.get(id(function))
        if isinstance(found, Activity):
            return found
        raise NotRegistered("activity", _path(function))

    # Starting.

    def bind(self, starter: Starter) -> None:
        """Say who carries out `Orchestration.start`; a client does this."""
        self._starter = starter

    @property
    def starter(self) -> Starter:
        """Who carries out `Orchestration.start`. Raises: InvalidArgument: nobody was bound."""
        if self._starter is None:
            raise InvalidArgument(
                "No client is bound to this registry. Add 'django_durable' to INSTALLED_APPS and call django.setup() "
                "first, or make a Client(registry) for a registry of your own."
            )
        return self._starter


class RegistryEnvironment:
    """A registry as the engine sees it."""

    def __init__(self, registry: Registry) -> None:
        self.codec = registry.codec
        self.hooks = (MODEL_INSTANCES,)
        self.activity = registry.get_activity
        self.orchestration = registry.get_orchestration
        self.step = registry.get_step
        self.durable_function = registry.get_durable_function

    @property
    def limits(self) -> Limits:
        return settings.limits

    @property
    def records_spans(self) -> bool:
        """Whether spans of orchestration code go anywhere."""
        return bool(settings.TRACING)

    def trace(self, level: int, message: str, args: tuple[Any, ...], fields: dict[str, Any]) -> None:
        """Log under `django_durable.orchestration`; `fields` become attributes of the record."""
        logger.log(level, message, *args, extra=fields)


def version_key(version: str) -> tuple[int, ...]:
    """Return a version as comparable numbers; `1.0` and `1.0.0` are equal.

    Raises: InvalidArgument: not dotted whole numbers, or too long.
    """
    if not isinstance(version, str) or len(version) > VERSION_LENGTH or not _VERSION.fullmatch(version):
        raise InvalidArgument(f"The version is {version!r:.80}, expected whole numbers with dots, for example '1.1.0'.")
    numbers = [int(part) for part in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _refuse_duplicate(known: Definition, made: Definition, label: str) -> None:
    """Refuse a name that other code has; the same function imported again replaces itself."""
    old, new = known.function, made.function
    if (old.__module__, old.__qualname__) != (new.__module__, new.__qualname__):
        raise InvalidArgument(
            f"There already is an {label}: {old.__module__}.{old.__qualname__}. Give "
            f"{new.__module__}.{new.__qualname__} another name or version."
        )


def _path(function: Any) -> str:
    """Return a function as text for an error, for example `shop.workflows.charge`."""
    name = getattr(function, "__qualname__", None)
    return f"{function.__module__}.{name}" if name else repr(function)[:80]


def _close(name: str, known: Iterable[str]) -> list[str]:
    names = list(known)
    return difflib.get_close_matches(name, names, n=3) or names


default = Registry()
"""The registry that the decorators of this package record in, and that the worker runs."""

orchestration = default.orchestration
activity = default.activity
