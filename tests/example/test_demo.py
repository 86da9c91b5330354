"""`manage.py demo`, as `make demo` runs it: with a worker in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

MANAGE = Path(__file__).parents[2] / "manage.py"


@pytest.fixture
def demo(database_environment, durable_db):
    environment = {**database_environment, "DJANGO_SETTINGS_MODULE": "example_project.settings"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(MANAGE), "demo", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)

    return run


def test_the_demo_imports_publishes_and_ships_twice_in_a_row(demo):
    for _ in range(2):
        result = demo()
        assert result.returncode == 0, result.stdout + result.stderr
        progress = [float(found) for found in re.findall(r"import-\d+ +(\d+)%", result.stdout)]
        assert progress == sorted(progress)
        assert progress[-1] == 100
        assert len(set(progress)) > 3, "progress was seen while it grew"
        assert re.search(r"import-\d+ Completed: .*published=4025, rejected=3", result.stdout)
        assert re.search(r"order-\d+-\d+ Completed: .*parcel", result.stdout)
        assert "The best offer for Shanghai, CN is 14.70 € from Meridian Press." in result.stdout
        assert re.search(r"Done in \d+\.\d s\.", result.stdout)


def test_a_demo_that_takes_too_long_says_where_it_stood_and_fails(demo):
    result = demo("--timeout", "0")
    assert result.returncode == 1
    assert re.search(r"import-\d+ is still \w+; the time is up\.", result.stderr)
