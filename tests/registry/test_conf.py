"""The `DJANGO_DURABLE` setting."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from typing import Any, get_type_hints

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_durable.conf import KEYS, Settings, settings as durable


def test_every_key_has_a_default_that_is_valid() -> None:
    assert {name: problem for name, key in KEYS.items() if (problem := key.problem(key.default))} == {}


def test_every_key_is_declared_for_type_checkers_and_nothing_else_is() -> None:
    assert list(get_type_hints(Settings)) == list(KEYS)


def test_without_the_setting_everything_has_its_default(settings: Any) -> None:
    del settings.DJANGO_DURABLE

    assert {name: getattr(durable, name) for name in KEYS} == {name: key.default for name, key in KEYS.items()}


def test_a_changed_setting_holds_at_once_and_goes_with_its_override(settings: Any) -> None:
    before = durable.LEASE

    settings.DJANGO_DURABLE = {"LEASE": timedelta(seconds=5)}
    assert timedelta(seconds=5) == durable.LEASE
    settings.DJANGO_DURABLE = {"CONCURRENCY": 2}
    assert (before, 2) == (durable.LEASE, durable.CONCURRENCY)


def test_a_list_of_modules_becomes_a_tuple(settings: Any) -> None:
    settings.DJANGO_DURABLE = {"WORKFLOW_MODULES": ["flows"]}

    assert durable.WORKFLOW_MODULES == ("flows",)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("LEASE", 30, "found 30 (int), expected a timedelta of at least datetime.timedelta(seconds=1)"),
        ("LEASE", timedelta(milliseconds=1), "expected a timedelta of at least"),
        ("CONCURRENCY", 0, "found 0, expected a whole number of at least 1"),
        ("CONCURRENCY", "8", "found '8' (str), expected a whole number"),
        ("CONCURRENCY", True, "found True (bool), expected a whole number"),
        ("MAX_PAYLOAD_BYTES", 10, "found 10, expected a whole number of at least 1,024"),
        ("NOTIFY", 1, "found 1 (int), expected True or False"),
        ("DATABASE", "", "found '' (str), expected a non-empty string"),
        ("DATABASE", None, "expected a non-empty string"),
        ("WORKFLOW_MODULES", "workflows", "expected a list or tuple of non-empty strings"),
        ("WORKFLOW_MODULES", ["a", 1], "expected a list or tuple of non-empty strings"),
        ("RETENTION", 7, "expected a timedelta of at least datetime.timedelta(0), or None"),
    ],
)
def test_a_wrong_value_is_an_error_where_it_is_read(settings: Any, name: str, value: Any, words: str) -> None:
    settings.DJANGO_DURABLE = {name: value}

    with pytest.raises(ImproperlyConfigured) as caught:
        getattr(durable, name)
    assert str(caught.value).startswith(f"DJANGO_DURABLE['{name}']: found ")
    assert words in str(caught.value)


def test_a_key_that_does_not_exist_is_an_error_that_names_the_closest() -> None:
    with pytest.raises(AttributeError, match=r"DJANGO_DURABLE has no key 'LEASES'\. Did you mean 'LEASE'\?"):
        durable.LEASES  # noqa: B018


def test_without_any_settings_module_everything_has_its_default() -> None:
    code = "from django_durable.conf import settings; print(settings.CONCURRENCY, settings.limits.kv_keys)"
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)

    assert (done.stdout, done.stderr) == ("8 150\n", "")
