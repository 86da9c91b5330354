"""What is imported when Django starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SHOP = """
from django_durable import orchestration

@orchestration("{name}")
def flow(ctx): ...
"""
PROGRAM = """
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["shop", "django_durable", "plain"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "missing/never-opened.sqlite3"}},
    DJANGO_DURABLE=%s,
)
django.setup()
from django_durable.registry import default
import threading
print(default.names, threading.active_count())
"""


def discovered(folder: Path, files: dict[str, str], setting: str = "{}") -> subprocess.CompletedProcess[str]:
    for name, text in {"shop/__init__.py": "", "plain/__init__.py": "", **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    environment = {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM % setting], capture_output=True, text=True, env=environment, check=False
    )


@pytest.mark.parametrize(
    ("files", "setting", "expected"),
    [
        ({"shop/workflows.py": SHOP.format(name="a"), "plain/activities.py": SHOP.format(name="b")}, "{}", ["a", "b"]),
        (
            {
                "shop/workflows/__init__.py": "",
                "shop/workflows/orders.py": SHOP.format(name="a"),
                "shop/workflows/deep/__init__.py": "",
                "shop/workflows/deep/returns.py": SHOP.format(name="b"),
            },
            "{}",
            ["a", "b"],
        ),
        (
            {"shop/flows.py": SHOP.format(name="a"), "shop/workflows.py": "1/0"},
            "{'WORKFLOW_MODULES': ['flows']}",
            ["a"],
        ),
        ({}, "{}", []),
    ],
    ids=["modules", "packages", "chosen names", "nothing"],
)
def test_workflows_of_installed_apps_are_found_without_a_thread_or_a_connection(
    tmp_path: Path, files: dict[str, str], setting: str, expected: list[str]
) -> None:
    done = discovered(tmp_path, files, setting)

    assert (done.stdout, done.stderr) == (f"{expected} 1\n", "")


@pytest.mark.parametrize("module", ["shop/workflows.py", "shop/workflows/__init__.py"])
def test_an_error_in_a_workflow_module_is_raised(tmp_path: Path, module: str) -> None:
    done = discovered(tmp_path, {module: "import a_library_that_is_missing"})

    assert done.returncode == 1
    assert "No module named 'a_library_that_is_missing'" in done.stderr
