"""Runs commands: in this process, inside a test's transaction; or in processes of their own, with what is committed."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_durable.testing import Durable

ROOT = Path(__file__).parent.parent.parent.parent
DEADLINE = 60


@dataclass(frozen=True, slots=True)
class Result:
    """What a command wrote, and how it ended."""

    out: str
    err: str
    code: int

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def durable(db: None) -> Iterator[Durable]:
    """Runs instances of the default registry on this thread; what the commands do is in the same transaction."""
    from . import workflows  # noqa: F401 - registers them

    harness = Durable()
    yield harness
    harness.close()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command in this process; the error that ends it is written as `manage.py` writes it."""

    def run(name: str, *arguments: object, stdin: str | None = None, terminal: bool = False) -> Result:
        stream = Terminal if terminal else io.StringIO
        out, err = stream(), stream()
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", stream(stdin))
        code = 0
        try:
            call_command(f"durable_{name}", *map(str, arguments), stdout=out, stderr=err)
        except CommandError as error:
            err.write(f"CommandError: {error}")
            code = error.returncode
        return Result(out.getvalue(), err.getvalue(), code)

    return run


@pytest.fixture
def environment(durable_db: None, database_environment: dict[str, str]) -> dict[str, str]:
    from . import workflows  # noqa: F401 - registers them

    return {**database_environment, "DJANGO_SETTINGS_MODULE": "tests.faces.commands.settings"}


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `manage.py durable_...` in a process of its own; what is left of it is ended afterwards."""
    started: list[subprocess.Popen[str]] = []

    def start(name: str, *arguments: object, **variables: str) -> subprocess.Popen[str]:
        line = [sys.executable, str(ROOT / "manage.py"), f"durable_{name}", *map(str, arguments)]
        pipe = subprocess.PIPE
        env = {**environment, **variables}
        started.append(subprocess.Popen(line, cwd=ROOT, env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True))
        return started[-1]

    yield start
    for process in started:
        with process:  # Closes its pipes.
            process.kill()


@pytest.fixture
def manage(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., Result]:
    """Run `manage.py durable_...` in a process of its own until it ends."""

    def manage(name: str, *arguments: object, stdin: str = "", **variables: str) -> Result:
        process = start(name, *arguments, **variables)
        out, err = process.communicate(stdin, timeout=DEADLINE)
        return Result(out, err, process.returncode)

    return manage
