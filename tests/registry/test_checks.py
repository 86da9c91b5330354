"""System checks, each by its id."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core import checks as django_checks
from django.core.checks import CheckMessage
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from django_durable import checks
from django_durable.registry import Registry
from tests.registry import suspects


def ids(found: list[CheckMessage]) -> list[str]:
    return [str(each.id).removeprefix("django_durable.") for each in found]


def only(found: list[CheckMessage]) -> CheckMessage:
    (message,) = found
    return message


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry of its own in place of the default one."""
    made = Registry()
    monkeypatch.setattr(checks, "default", made)
    return made


def test_the_suite_itself_passes_every_check() -> None:
    assert django_checks.run_checks(tags=[checks.TAG], databases=[]) == []


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("LEASES", "DJANGO_DURABLE has no key 'LEASES'. Did you mean 'LEASE'?"),
        ("concurrency", "Did you mean 'CONCURRENCY'?"),
        ("XYZ", "The keys are: DATABASE, WORKFLOW_MODULES,"),
        (7, "DJANGO_DURABLE has no key 7."),
    ],
)
def test_e001_names_an_unknown_key_and_the_closest_one(settings: Any, key: Any, words: str) -> None:
    settings.DJANGO_DURABLE = {key: 1}

    message = only(checks.check_settings(None))

    assert (message.id, message.level) == ("django_durable.E001", django_checks.ERROR)
    assert words in message.msg
    assert message.hint == f"Rename or remove {key!r} in DJANGO_DURABLE."


def test_e002_names_each_wrong_value_and_shows_a_right_one(settings: Any) -> None:
    settings.DJANGO_DURABLE = {"LEASE": 30, "CONCURRENCY": 0, "NOTIFY": True}

    lease, concurrency = checks.check_settings(None)

    assert lease.id == concurrency.id == "django_durable.E002"
    assert lease.msg.startswith("DJANGO_DURABLE['LEASE']: found 30 (int), expected a timedelta")
    assert lease.hint == 'The default, if in doubt: DJANGO_DURABLE = {"LEASE": timedelta(seconds=30)}'
    assert concurrency.msg == "DJANGO_DURABLE['CONCURRENCY']: found 0, expected a whole number of at least 1."


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"CODECS": {"a": "nowhere.Codec"}}, "['CODECS']['a'] is 'nowhere.Codec', expected the path of a codec: Modul"),
        ({"CODECS": {"a": "builtins.dict"}}, "['CODECS']['a'] is 'builtins.dict', expected the path of a codec: {} is"),
        (
            {"CODEC": "sealed"},
            "DJANGO_DURABLE['CODEC'] names the codec 'sealed', which is not in DJANGO_DURABLE['CODECS']",
        ),
    ],
)
def test_e006_names_a_codec_that_is_missing(settings: Any, given: dict[str, Any], words: str) -> None:
    settings.DJANGO_DURABLE = given

    message = only(checks.check_settings(None))

    assert message.id == "django_durable.E006"
    assert words in message.msg


@pytest.mark.parametrize("path", ["nowhere.hide", "django_durable.redaction.HIDDEN"])
def test_e007_names_a_hook_that_is_no_function(settings: Any, path: str) -> None:
    settings.DJANGO_DURABLE = {"REDACT": path}

    message = only(checks.check_settings(None))

    assert message.id == "django_durable.E007"
    assert message.msg.startswith(f"DJANGO_DURABLE['REDACT'] is {path!r}, expected the path of a function: ")


def test_e006_names_the_orchestration_whose_codec_is_missing(registry: Registry, settings: Any) -> None:
    @registry.orchestration("pay", codec="sealed")
    def pay(ctx: Any) -> None: ...

    assert only(checks.check_settings(None)).msg.startswith(
        "Orchestration 'pay' names the codec 'sealed', which is not"
    )
    settings.DJANGO_DURABLE = {"CODECS": {"sealed": "tests.conformance.codecs.Turned"}}
    assert checks.check_settings(None) == []


def test_e008_says_which_extra_tracing_needs(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DJANGO_DURABLE = {"TRACING": ["opentelemetry"]}
    assert checks.check_settings(None) == []
    monkeypatch.setattr(checks, "find_spec", lambda name: None)

    message = only(checks.check_settings(None))

    assert message.id == "django_durable.E008"
    assert message.hint == "pip install django-durable-workflows[opentelemetry], or remove it from the setting."


@pytest.mark.parametrize("value", [None, [], "x", 7])
def test_e002_covers_a_setting_that_is_no_dict(settings: Any, value: Any) -> None:
    settings.DJANGO_DURABLE = value

    message = only(checks.check_settings(None))

    assert message.id == "django_durable.E002"
    assert "expected a dict" in message.msg
    assert checks.check_database(None) == []
    assert checks.check_journal(None, databases=["default"]) == []


def test_e003_names_an_alias_that_is_not_there(settings: Any) -> None:
    settings.DJANGO_DURABLE = {"DATABASE": "durable"}

    message = only(checks.check_database(None))

    assert message.id == "django_durable.E003"
    assert message.msg == "DJANGO_DURABLE['DATABASE'] is 'durable', which is not in DATABASES."
    assert message.hint == "Use one of 'default', or add 'durable' to DATABASES."


def test_a_wrong_alias_is_reported_once(settings: Any) -> None:
    settings.DJANGO_DURABLE = {"DATABASE": 7}

    assert ids(checks.check_settings(None)) == ["E002"]
    assert checks.check_database(None) == []


def test_e004_refuses_a_database_that_is_not_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    from django_durable.store import health

    monkeypatch.setattr(health, "vendor", lambda using: "mysql")

    message = only(checks.check_database(None))

    assert message.id == "django_durable.E004"
    assert "The database 'default' is mysql" in message.msg
    assert "SQLite or PostgreSQL" in str(message.hint)


def test_w002_warns_of_another_database_than_the_default(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from django_durable.store import health

    monkeypatch.setitem(settings.DATABASES, "durable", settings.DATABASES["default"])
    monkeypatch.setattr(health, "vendor", lambda using: "postgresql")
    settings.DJANGO_DURABLE = {"DATABASE": "durable"}

    message = only(checks.check_database(None))

    assert (message.id, message.level) == ("django_durable.W002", django_checks.WARNING)
    assert "not in one transaction" in message.msg
    assert 'transaction.atomic(using="durable")' in str(message.hint)


@pytest.mark.parametrize(
    ("vendor", "pooled", "notify", "expected"),
    [
        ("postgresql", True, True, ["W005"]),
        ("postgresql", True, False, []),
        ("postgresql", False, True, []),
        ("sqlite", True, True, []),
    ],
)
def test_w005_warns_of_notify_behind_a_pooler_in_transaction_mode(
    settings: Any, monkeypatch: pytest.MonkeyPatch, vendor: str, pooled: bool, notify: bool, expected: list[str]
) -> None:
    from django_durable.store import health

    monkeypatch.setattr(health, "vendor", lambda using: vendor)
    monkeypatch.setitem(settings.DATABASES["default"], "DISABLE_SERVER_SIDE_CURSORS", pooled)
    settings.DJANGO_DURABLE = {"NOTIFY": notify}
    assert ids(checks.check_notify(None)) == expected


@pytest.mark.django_db
def test_w001_is_for_a_sqlite_file_without_wal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {mode: _journal_check(tmp_path / mode, mode, monkeypatch) for mode in ("delete", "wal", "truncate")}

    assert {mode: ids(messages) for mode, messages in found.items()} == {
        "delete": ["W001"],
        "wal": [],
        "truncate": ["W001"],
    }
    message = only(found["delete"])
    assert "has the journal mode 'delete': every write blocks every reader" in message.msg
    assert "PRAGMA journal_mode=WAL" in str(message.hint)


def _journal_check(path: Path, mode: str, monkeypatch: pytest.MonkeyPatch) -> list[CheckMessage]:
    """Run the check against a SQLite file of its own, whatever the suite's database is."""
    from django.db.utils import ConnectionHandler

    from django_durable.store import health

    name = str(path.with_suffix(".sqlite3"))
    options = {"init_command": f"PRAGMA journal_mode={mode}"}
    handler = ConnectionHandler({"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": name, "OPTIONS": options}})
    monkeypatch.setattr(health, "connections", handler)
    try:
        return checks.check_journal(None, databases=["default"])
    finally:
        handler["default"].close()


@pytest.mark.parametrize("databases", [None, [], ["other"]])
def test_w001_opens_no_connection_that_was_not_asked_for(databases: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from django_durable.store import health

    monkeypatch.setattr(health, "connections", {})

    assert checks.check_journal(None, databases=databases) == []


@pytest.mark.django_db
def test_the_journal_check_runs_where_django_runs_checks_of_a_database(database_vendor: str) -> None:
    from django_durable.store import health

    mode = health.journal_mode("default")
    found = django_checks.run_checks(tags=[django_checks.Tags.database], databases=["default"])

    assert (mode is None) == (database_vendor == "postgresql" or mode == "memory")
    assert ("W001" in ids(found)) == (mode not in (None, "wal"))


@pytest.mark.parametrize(
    ("function", "call", "advice"), suspects.EXPECTED, ids=lambda each: getattr(each, "__name__", "")
)
def test_w003_finds_what_a_replay_could_not_repeat(
    registry: Registry, function: Callable[..., Any], call: str, advice: str
) -> None:
    registry.orchestration("flow")(function)

    message = only(checks.check_determinism(None))

    assert (message.id, message.level) == ("django_durable.W003", django_checks.WARNING)
    does = call if call.startswith(("reads ", "iterates ")) else f"calls {call}"
    assert message.msg == f"Orchestration 'flow' {does}, and a replay would get another answer."
    assert advice.lower() in str(message.hint).lower()
    path, line = str(message.obj).rsplit(":", 1)
    assert path.endswith("suspects.py")
    assert "# here" in Path(suspects.__file__).read_text().splitlines()[int(line) - 1]


@pytest.mark.parametrize("mode", ["replay", "checkpoint"])
@pytest.mark.parametrize("function", [suspects.asks_the_clock_as_it_goes, suspects.draws_as_it_goes])
def test_w003_lets_code_with_checkpoints_read_what_a_replay_could_not_repeat(
    registry: Registry, function: Callable[..., Any], mode: Any
) -> None:
    registry.orchestration("flow", mode=mode)(function)
    assert [each.id for each in checks.check_determinism(None)] == ["django_durable.W003"] * (mode == "replay")


def test_w003_tells_code_with_checkpoints_what_holds_up_its_worker(registry: Registry) -> None:
    registry.orchestration("flow", mode="checkpoint")(suspects.sleeps_as_it_goes)
    (message,) = checks.check_determinism(None)
    assert "calls time.sleep(), and it would hold up its worker" in message.msg


@pytest.mark.parametrize("function", suspects.INNOCENT)
def test_w003_leaves_deterministic_code_alone(registry: Registry, function: Callable[..., Any]) -> None:
    registry.orchestration("flow")(function)

    assert [each.msg for each in checks.check_determinism(None)] == []


def test_w003_passes_over_code_without_source(registry: Registry) -> None:
    scope: dict[str, Any] = {}
    exec("import time\ndef flow(ctx):\n    time.sleep(1)", scope)  # noqa: S102
    registry.orchestration("flow")(scope["flow"])

    assert checks.check_determinism(None) == []


def test_w003_can_be_silenced_in_the_settings(registry: Registry, settings: Any) -> None:
    registry.orchestration("flow")(suspects.sleeps)
    settings.SILENCED_SYSTEM_CHECKS = ["django_durable.W003"]

    assert only(checks.check_determinism(None)).is_silenced()


def test_w004_names_hints_that_values_cannot_be_decoded_as(registry: Registry) -> None:
    def step(when: Missing, what: complex) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    registry.activity("step")(step)

    missing, foreign = checks.check_hints(None)

    assert missing.id == foreign.id == "django_durable.W004"
    assert missing.msg.startswith("activity 'step' has the type hint 'Missing' on 'when', which cannot be resolved")
    assert foreign.msg.startswith("The argument 'what' of activity 'step': complex cannot be made from JSON")
    assert "test_checks.py:" in str(missing.obj)


@pytest.mark.django_db  # From Django 6.1 on, a tag selects the checks of databases, too.
def test_the_check_command_reports_the_errors(settings: Any) -> None:
    settings.DJANGO_DURABLE = {"LEASES": 1}

    with pytest.raises(SystemCheckError, match=r"django_durable\.E001"):
        call_command("check", tags=[checks.TAG])


def test_a_default_in_a_hint_is_written_as_in_a_settings_module() -> None:
    assert checks._source(timedelta(seconds=30)) == "timedelta(seconds=30)"
    assert checks._source(("a",)) == "('a',)"
