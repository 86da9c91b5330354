"""The `DJANGO_DURABLE` setting: one dict, every key optional, read when it is needed and never at import.

`settings` is the accessor: `settings.LEASE`. Values are checked at their first use and kept until the setting changes
(`override_settings` included). System checks report the same problems for the whole dict at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, Literal

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from .engine.program import Limits

NAME = "DJANGO_DURABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key: its default, the kind of value it takes, the least it may be, and whether `None` switches it off."""

    default: Any
    kind: Literal["name", "names", "paths", "whole number", "duration", "flag"]
    least: Any = None
    optional: bool = False
    choices: tuple[str, ...] = ()

    def problem(self, value: Any) -> str | None:
        """Return what is wrong with a value as "found ..., expected ...", or `None`."""
        if value is None and self.optional:
            return None
        if not self._has_kind(value):
            return f"found {value!r} ({type(value).__name__}), expected {self.expected}"
        if self.least is not None and value < self.least:
            return f"found {value!r}, expected {self.expected}"
        if self.choices and not set(value) <= set(self.choices):
            return f"found {value!r}, expected {self.expected}"
        return None

    def _has_kind(self, value: Any) -> bool:
        match self.kind:
            case "name":
                return isinstance(value, str) and bool(value)
            case "names":
                return isinstance(value, list | tuple) and all(isinstance(item, str) and item for item in value)
            case "paths":
                texts = [*value, *value.values()] if isinstance(value, dict) else [None]
                return all(isinstance(item, str) and item for item in texts)
            case "whole number":
                return isinstance(value, int) and not isinstance(value, bool)
            case "duration":
                return isinstance(value, timedelta)
            case "flag":
                return isinstance(value, bool)

    @property
    def expected(self) -> str:
        """Return the values this key takes, as words."""
        words = {
            "name": "a non-empty string",
            "names": "a list or tuple of non-empty strings",
            "paths": "a dict of names and the paths of what they name",
            "whole number": "a whole number",
            "duration": "a timedelta",
            "flag": "True or False",
        }[self.kind]
        if self.least is not None:
            words += f" of at least {self.least!r}" if self.kind == "duration" else f" of at least {self.least:,}"
        if self.choices:
            words += f" among {', '.join(map(repr, self.choices))}"
        return f"{words}, or None" if self.optional else words


_MOMENT = timedelta(milliseconds=1)

KEYS: Mapping[str, Key] = {
    "DATABASE": Key(default="default", kind="name"),
    "WORKFLOW_MODULES": Key(default=("workflows", "activities"), kind="names"),
    "CODECS": Key(default={}, kind="paths"),
    "CODEC": Key(default=None, kind="name", optional=True),
    "MAX_PAYLOAD_BYTES": Key(default=2_097_152, kind="whole number", least=1_024),
    "MAX_CHECKPOINT_BYTES": Key(default=2_097_152, kind="whole number", least=1_024),
    "MAX_KV_KEYS": Key(default=150, kind="whole number", least=1),
    "MAX_KV_VALUE_BYTES": Key(default=65_536, kind="whole number", least=1),
    "MAX_CUSTOM_STATUS_BYTES": Key(default=262_144, kind="whole number", least=1),
    "STEPS_PER_TURN": Key(default=100_000, kind="whole number", least=100),
    "MAX_HISTORY_EVENTS": Key(default=200_000, kind="whole number", least=100),
    "HISTORY_WARNING_EVENTS": Key(default=20_000, kind="whole number", least=1, optional=True),
    "LEASE": Key(default=timedelta(seconds=30), kind="duration", least=timedelta(seconds=1)),
    "POLL_INTERVAL": Key(default=timedelta(seconds=1), kind="duration", least=_MOMENT),
    "CONCURRENCY": Key(default=8, kind="whole number", least=1),
    "MAX_DELIVERIES": Key(default=10, kind="whole number", least=1),
    "HOT_EXECUTIONS": Key(default=1_000, kind="whole number", least=0),
    "TURNS_PER_BATCH": Key(default=100, kind="whole number", least=1),
    "SESSION_IDLE_TIMEOUT": Key(default=timedelta(minutes=5), kind="duration", least=timedelta(seconds=1)),
    "MAX_SESSIONS": Key(default=10, kind="whole number", least=0),
    "SHUTDOWN_TIMEOUT": Key(default=timedelta(seconds=30), kind="duration", least=timedelta(0)),
    "NOTIFY": Key(default=True, kind="flag"),
    "MAX_WAIT": Key(default=timedelta(hours=1), kind="duration", least=_MOMENT),
    "TRACING": Key(default=(), kind="names", choices=("database", "opentelemetry")),
    "RETENTION": Key(default=None, kind="duration", least=timedelta(0), optional=True),
    "PERMISSIONS": Key(default="django_durable.permissions.DurablePermissions", kind="name"),
    "REDACT": Key(default=None, kind="name", optional=True),
    "LIVE_RECHECK": Key(default=timedelta(minutes=1), kind="duration", least=_MOMENT),
    "LIVE_HEARTBEAT": Key(default=timedelta(seconds=20), kind="duration", least=_MOMENT),
    "LIVE_MAX_SUBSCRIPTIONS": Key(default=100, kind="whole number", least=1),
    "LIVE_MAX_MESSAGE_BYTES": Key(default=16_384, kind="whole number", least=1_024),
    "LIVE_MAX_MESSAGES_PER_SECOND": Key(default=20, kind="whole number", least=1),
    "LIVE_MAX_STREAM": Key(default=timedelta(minutes=10), kind="duration", least=_MOMENT),
}
"""Every key, in the order in which the reference lists them; `Settings` says what each is for."""


class Settings:
    """Typed, lazy view of `DJANGO_DURABLE`.

    Raises: ImproperlyConfigured: the key that is read has a wrong type or range; correct it in the settings module.
    """

    DATABASE: str
    """Alias of the database that holds the instances. Only in the project's own database do starts and atomic
    activities commit with what the project writes."""
    WORKFLOW_MODULES: tuple[str, ...]
    """Modules that are imported from every installed app at start, with what is in those that are packages."""
    CODECS: dict[str, str]
    """Codecs by name: paths of classes or objects that say how payloads are stored, see `codec.PayloadCodec`. Keep one
    here as long as there are payloads that it wrote."""
    CODEC: str | None
    """Name of the codec that payloads are stored by, where the orchestration does not name its own. With `None` they
    are plain JSON."""
    MAX_PAYLOAD_BYTES: int
    """Most bytes of one encoded payload: an input, an output, the data of an event. Payloads are read with every
    replay; keep files elsewhere and pass their names."""
    MAX_CHECKPOINT_BYTES: int
    """Most bytes of one checkpoint. It is written with every turn of an orchestration that has checkpoints."""
    MAX_KV_KEYS: int
    """Most KV entries of one instance. Each turn of an instance that is not in memory loads all of them."""
    MAX_KV_VALUE_BYTES: int
    """Most bytes of one encoded KV value."""
    MAX_CUSTOM_STATUS_BYTES: int
    """Most bytes of an encoded custom status."""
    STEPS_PER_TURN: int
    """Most steps that code may run after one event without waiting for anything durable; more is an endless
    loop."""
    MAX_HISTORY_EVENTS: int
    """Most events of one execution; one that has more fails. A worker that takes it over reads all of them."""
    HISTORY_WARNING_EVENTS: int | None
    """Events from which on a worker reports a history in its log, once. With `None` it never does."""
    LEASE: timedelta
    """How long a worker may be silent before others take over what it has. It is renewed four times as often, so
    shorter means quicker take-over and more writes."""
    POLL_INTERVAL: timedelta
    """How often an idle worker looks for work where the database gives no hints. Where it does, at least 5
    seconds."""
    CONCURRENCY: int
    """Activities at a time in each worker process."""
    MAX_DELIVERIES: int
    """How often an activity may be started without ending before it fails as `Poisoned`, and a turn be tried without
    being committed before its instance is blocked: what kills its worker must not kill one after the other."""
    HOT_EXECUTIONS: int
    """Executions that a worker keeps in memory between turns, so that a turn costs its new events and not the
    history. With 0 every turn replays."""
    TURNS_PER_BATCH: int
    """Most turns in one commit."""
    SESSION_IDLE_TIMEOUT: timedelta
    """After how long without an activity a worker lets a session go."""
    MAX_SESSIONS: int
    """Sessions that a worker owns at a time. With 0 it takes no activity that names one."""
    SHUTDOWN_TIMEOUT: timedelta
    """How long a stopping worker waits for its activities before it hands them back. Keep it below what the process
    manager allows."""
    NOTIFY: bool
    """Whether PostgreSQL tells workers and waits of changes by NOTIFY. Off, they poll; for networks where a
    connection that listens cannot be kept."""
    MAX_WAIT: timedelta
    """Longest timeout that a wait of the client takes."""
    TRACING: tuple[str, ...]
    """Where spans go: `database` keeps them beside the histories, `opentelemetry` hands them to its API (extra
    `opentelemetry`) and carries the trace context. Without either nothing is traced."""
    RETENTION: timedelta | None
    """How long after its end workers delete a root instance with its descendants. With `None` nothing is
    deleted."""
    PERMISSIONS: str
    """Path of the class that decides who may do what with which instance, see `permissions.DurablePermissions`."""
    REDACT: str | None
    """Path of a function that says what is shown in place of a payload, see `django_durable.redaction`. With `None`,
    whoever may see payloads sees all of them."""
    LIVE_RECHECK: timedelta
    """How often an open websocket or stream asks anew whether its user may still see what it follows."""
    LIVE_HEARTBEAT: timedelta
    """After how long without news an open websocket or stream is told that all is well. Keep it below the timeouts of
    proxies."""
    LIVE_MAX_SUBSCRIPTIONS: int
    """Instances that one websocket may follow."""
    LIVE_MAX_MESSAGE_BYTES: int
    """Most bytes of one message that a websocket takes."""
    LIVE_MAX_MESSAGES_PER_SECOND: int
    """Messages that a websocket takes per second; whoever sends more is disconnected."""
    LIVE_MAX_STREAM: timedelta
    """After how long a stream of Server-Sent Events ends; browsers connect again by themselves, and miss nothing."""

    def __getattr__(self, name: str) -> Any:
        # Reached once per key: the value then stands in the instance, where attribute access finds it first.
        key = KEYS.get(name)
        if key is None:
            raise AttributeError(f"{NAME} has no key {name!r}.{suggestion(name)}")
        given = configured()
        value = given.get(name, key.default) if isinstance(given, Mapping) else key.default
        if (problem := key.problem(value)) is not None:
            raise ImproperlyConfigured(f"{NAME}[{name!r}]: {problem}.")
        if key.kind == "names":
            value = tuple(value)
        self.__dict__[name] = value
        return value

    @cached_property
    def limits(self) -> Limits:
        """The bounds the engine checks at each verb."""
        return Limits(
            kv_keys=self.MAX_KV_KEYS,
            kv_value_bytes=self.MAX_KV_VALUE_BYTES,
            custom_status_bytes=self.MAX_CUSTOM_STATUS_BYTES,
            checkpoint_bytes=self.MAX_CHECKPOINT_BYTES,
            steps_per_turn=self.STEPS_PER_TURN,
            history_events=self.MAX_HISTORY_EVENTS,
        )

    def reload(self) -> None:
        """Forget what was read; the next access reads the settings again."""
        self.__dict__.clear()


def configured() -> Any:
    """Return `DJANGO_DURABLE` as it stands in the settings module, an empty dict where Django is not configured."""
    if not django_settings.configured:
        try:
            return getattr(django_settings, NAME, {})
        except ImproperlyConfigured:
            return {}
    return getattr(django_settings, NAME, {})


def unknown_keys(given: Mapping[Any, Any]) -> Iterator[tuple[Any, str]]:
    """Yield each key that does not exist, with a sentence that names the closest one that does."""
    for name in given:
        if name not in KEYS:
            yield name, suggestion(str(name))


def wrong_values(given: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    """Yield each key whose value has a wrong type or range, with what is wrong."""
    for name, key in KEYS.items():
        if name in given and (problem := key.problem(given[name])) is not None:
            yield name, problem


def suggestion(name: str) -> str:
    """Return " Did you mean 'LEASE'?" for a key close to an existing one, else the list of keys."""
    close = difflib.get_close_matches(name.upper(), KEYS, n=1)
    return f" Did you mean {close[0]!r}?" if close else f" The keys are: {', '.join(KEYS)}."


def _reload(*, setting: str, **_: Any) -> None:
    if setting == NAME:
        settings.reload()


settings = Settings()
setting_changed.connect(_reload, dispatch_uid="django_durable.conf")
