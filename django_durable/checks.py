"""System checks: what is wrong with the settings, the database and the registered code, before it runs.

E001 unknown key; E002 wrong type or range; E003 unknown database alias; E004 unsupported database;
E005 permissions that are no class; E006 a codec that is missing; E007 a REDACT hook that
is no function; E008 tracing to what is not installed.
W001 SQLite without WAL; W002 another database than `default`; W003 code that a replay could not repeat; W004 type hints
that no payload can have; W005 NOTIFY behind a pooler in transaction mode.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.utils.module_loading import import_string

from . import conf
from .codec import named
from .determinism import SILENCE, findings
from .registry import default
from .tracing import sinks

TAG = "django_durable"
"""`manage.py check --tag django_durable` runs these checks alone."""

SQLITE_OPTIONS = (
    '"OPTIONS": {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;", '
    '"transaction_mode": "IMMEDIATE", "timeout": 20}'
)


@register(TAG)
def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E001, E002, E005 to E008: each key of `DJANGO_DURABLE`."""
    given = conf.configured()
    if not isinstance(given, Mapping):
        text = f"{conf.NAME} is {given!r:.80} ({type(given).__name__}), expected a dict."
        return [Error(text, hint=f'{conf.NAME} = {{"LEASE": timedelta(seconds=30)}}', id="django_durable.E002")]
    found: list[CheckMessage] = []
    for name, suggestion in conf.unknown_keys(given):
        text = f"{conf.NAME} has no key {name!r}.{suggestion}"
        found.append(Error(text, hint=f"Rename or remove {name!r} in {conf.NAME}.", id="django_durable.E001"))
    for name, problem in conf.wrong_values(given):
        example = f'{conf.NAME} = {{"{name}": {_source(conf.KEYS[name].default)}}}'
        hint = f"The default, if in doubt: {example}"
        found.append(Error(f"{conf.NAME}[{name!r}]: {problem}.", hint=hint, id="django_durable.E002"))
    found += _check_permissions(given.get("PERMISSIONS"))
    return [*found, *_check_codecs(given), *_check_hook(given.get("REDACT")), *_check_tracing(given)]


def _check_permissions(path: Any) -> list[CheckMessage]:
    if not isinstance(path, str) or not path:
        return []  # The default, or what E002 reports.
    try:
        found = import_string(path)
    except ImportError as error:
        problem = str(error)
    else:
        if isinstance(found, type):
            return []
        problem = f"{path} is {found!r:.80}"
    text = f"{conf.NAME}['PERMISSIONS'] is {path!r}, expected the path of a class: {problem}."
    hint = "Name a subclass of django_durable.permissions.DurablePermissions, or remove the key."
    return [Error(text, hint=hint, id="django_durable.E005")]


def _check_hook(path: Any) -> list[CheckMessage]:
    if not isinstance(path, str) or not path:
        return []  # None, or what E002 reports.
    try:
        found = import_string(path)
    except ImportError as error:
        problem = str(error)
    else:
        if callable(found):
            return []
        problem = f"{path} is {found!r:.80}"
    text = f"{conf.NAME}['REDACT'] is {path!r}, expected the path of a function: {problem}."
    hint = "Name a function of (place, value), for example 'django_durable.redaction.hide_secrets', or remove the key."
    return [Error(text, hint=hint, id="django_durable.E007")]


def _check_codecs(given: Mapping[str, Any]) -> list[CheckMessage]:
    codecs = given.get("CODECS", {})
    if conf.KEYS["CODECS"].problem(codecs) is not None:
        return []  # What E002 reports.
    found: list[CheckMessage] = []
    for name, path in codecs.items():
        try:
            codec = named.make(path)
            problem = "" if hasattr(codec, "encode") and hasattr(codec, "decode") else f"{codec!r:.80} is no codec"
        except Exception as error:  # The project's own code, which is run for this check.
            problem = f"{type(error).__name__}: {error}"
        if problem:
            text = f"{conf.NAME}['CODECS'][{name!r}] is {path!r}, expected the path of a codec: {problem}."
            found.append(Error(text, hint="Name a class with encode(text) and decode(data).", id="django_durable.E006"))
    for label, name in _codecs_asked_for(given):
        if name is not None and name not in (named.PLAIN, *codecs):
            text = f"{label} names the codec {name!r}, which is not in {conf.NAME}['CODECS']."
            known = ", ".join(repr(each) for each in (named.PLAIN, *codecs))
            found.append(Error(text, hint=f"Add it there, or use one of {known}.", id="django_durable.E006"))
    return found


def _check_tracing(given: Mapping[str, Any]) -> list[CheckMessage]:
    if sinks.OPENTELEMETRY not in (given.get("TRACING") or ()) or find_spec("opentelemetry") is not None:
        return []
    text = f"{conf.NAME}['TRACING'] names {sinks.OPENTELEMETRY!r}, and its API is not installed."
    hint = "pip install django-durable-workflows[opentelemetry], or remove it from the setting."
    return [Error(text, hint=hint, id="django_durable.E008")]


def _codecs_asked_for(given: Mapping[str, Any]) -> list[tuple[str, Any]]:
    asked = [(f"Orchestration {each.name!r}", each.codec_name) for each in default.orchestrations()]
    return [(f"{conf.NAME}['CODEC']", given.get("CODEC")), *asked]


@register(TAG)
def check_database(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E003, E004, W002: the alias that holds the instances."""
    alias = _alias()
    if alias is None:
        return []
    if alias not in django_settings.DATABASES:
        known = ", ".join(repr(each) for each in django_settings.DATABASES)
        text = f"{conf.NAME}['DATABASE'] is {alias!r}, which is not in DATABASES."
        return [Error(text, hint=f"Use one of {known}, or add {alias!r} to DATABASES.", id="django_durable.E003")]
    from .store import health

    found: list[CheckMessage] = []
    if (vendor := health.vendor(alias)) not in health.SUPPORTED_VENDORS:
        text = f"The database {alias!r} is {vendor}, which django_durable does not support."
        hint = f'Add a SQLite or PostgreSQL database to DATABASES and name it: {conf.NAME} = {{"DATABASE": "<alias>"}}'
        found.append(Error(text, hint=hint, id="django_durable.E004"))
    if alias != "default":
        text = (
            f"{conf.NAME}['DATABASE'] is {alias!r}: starts and atomic activities are not in one transaction with what "
            f"the project writes to 'default'."
        )
        hint = (
            f'Use {conf.NAME} = {{"DATABASE": "default"}}; or write in transaction.atomic(using="{alias}"), and add '
            f"'django_durable.W002' to SILENCED_SYSTEM_CHECKS."
        )
        found.append(Warning(text, hint=hint, id="django_durable.W002"))
    return found


@register(TAG)
def check_notify(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W005: NOTIFY behind a pooler in transaction mode, which takes LISTEN and delivers nothing."""
    alias = _alias()
    if alias is None or alias not in django_settings.DATABASES or not conf.configured().get("NOTIFY", True):
        return []
    from .store import health

    if health.vendor(alias) != "postgresql" or not django_settings.DATABASES[alias].get("DISABLE_SERVER_SIDE_CURSORS"):
        return []
    text = (
        f"DATABASES[{alias!r}] has DISABLE_SERVER_SIDE_CURSORS, as behind a pooler in transaction mode; there, workers "
        f"and waits that LISTEN hear nothing, and find changes only by looking every few seconds."
    )
    hint = (
        f'With such a pooler: {conf.NAME} = {{"NOTIFY": False, "POLL_INTERVAL": timedelta(seconds=1)}}. Where workers '
        f"connect directly, or the pooler is in session mode, add 'django_durable.W005' to SILENCED_SYSTEM_CHECKS."
    )
    return [Warning(text, hint=hint, id="django_durable.W005")]


@register(Tags.database, TAG)
def check_journal(app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """W001: SQLite in WAL mode, so that readers and the one writer do not block each other."""
    alias = _alias()
    if alias is None or alias not in (databases or ()):
        return []
    from .store import health

    mode = health.journal_mode(alias)
    if mode in (None, "wal"):
        return []
    text = f"The SQLite database {alias!r} has the journal mode {mode!r}: every write blocks every reader."
    return [Warning(text, hint=f"In DATABASES[{alias!r}]: {SQLITE_OPTIONS}", id="django_durable.W001")]


@register(TAG)
def check_determinism(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W003: what registered orchestrations do that a replay could not repeat, or that no worker should wait for."""
    found: list[CheckMessage] = []
    for each in default.orchestrations():
        replayed = each.mode == "replay"
        harm = "a replay would get another answer" if replayed else "it would hold up its worker, or be refused there"
        for finding in findings(each.function, replayed=replayed):
            text = f"Orchestration {each.name!r} {finding.does}, and {harm}."
            hint = f"{finding.instead[0].upper()}{finding.instead[1:]}. To silence the line: {SILENCE}"
            place = f"{os.path.relpath(finding.path)}:{finding.line}"
            found.append(Warning(text, hint=hint, obj=place, id="django_durable.W003"))
    return found


@register(TAG)
def check_hints(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W004: type hints of registered code that cannot be resolved, or that no JSON value can be decoded as."""
    hint = "Import the name at run time, or use a dataclass, a TypedDict, a pydantic model, or a standard type."
    return [
        Warning(problem, hint=hint, obj=_place(each.function), id="django_durable.W004")
        for each in (*default.orchestrations(), *default.activities())
        for problem in each.hint_problems()
    ]


def _alias() -> str | None:
    """Return the configured alias, `None` where the setting is wrong, which E002 reports."""
    given = conf.configured()
    if not isinstance(given, Mapping):
        return None
    alias = given.get("DATABASE", conf.KEYS["DATABASE"].default)
    return alias if conf.KEYS["DATABASE"].problem(alias) is None else None


def _place(function: Any) -> str:
    code = function.__code__
    return f"{os.path.relpath(code.co_filename)}:{code.co_firstlineno}"


def _source(default: Any) -> str:
    """Return a default as one writes it in a settings module."""
    return repr(default).removeprefix("datetime.")
