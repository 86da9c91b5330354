"""Worker processes: `manage.py durable_worker`, started, signalled, and read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .stage import DEADLINE, VARIABLE, until

ROOT = Path(__file__).parent.parent.parent
LOST_ORDER = ("Traceback", "database is locked", "database is deadlocked", "could not serialize", "deadlock detected")
"""What no worker may ever write to its log unless a test says that it will."""


class WorkerProcess:
    """One `manage.py durable_worker`; `name` is its worker id."""

    def __init__(self, name: str, arguments: list[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "durable_worker", *arguments],
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait_for_log(self, text: str) -> None:
        """Wait until the worker has written a text."""

        def found() -> bool:
            assert text in self.log or self.process.poll() is None, f"{self.name} ended early:\n{self.log}"
            return text in self.log

        until(found, f"{text!r} in the log of {self.name}")

    def wait_until_started(self) -> None:
        self.wait_for_log(f"Worker {self.name} started")

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.wait(DEADLINE)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stall(self, *, holding_locks: bool = False) -> None:
        """Stop it as a hanging machine does, by default at a moment when it does not keep others from writing."""
        while True:
            self.signal(signal.SIGSTOP)
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)  # A signal takes a while to reach every thread.
            if holding_locks or _can_write():
                return
            self.signal(signal.SIGCONT)

    def revive(self) -> None:
        self.signal(signal.SIGCONT)

    def wait(self) -> int:
        """Wait until it has ended. Returns: its exit code."""
        return self.process.wait(DEADLINE)

    def stop(self) -> int:
        """Ask it to stop, and wait until it has. Returns: its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()


def _can_write() -> bool:
    """Tell whether nobody keeps others from writing: whoever reads or writes SQLite keeps its lock while it hangs."""
    from django.db import OperationalError, connection

    if connection.vendor != "sqlite":
        return True
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 200")
        try:
            cursor.execute("BEGIN EXCLUSIVE")
            cursor.execute("ROLLBACK")
        except OperationalError:
            return False
        finally:
            connection.close()  # Its next connection has the timeout of the settings again.
    return True


class Workers:
    """Starts workers, and ends those that a test leaves behind."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self._directory = directory
        self._environment = environment
        self.started: list[WorkerProcess] = []
        self.expected: list[str] = []

    def start(
        self, *arguments: str, name: str | None = None, variables: Mapping[str, str] | None = None, **durable: Any
    ) -> WorkerProcess:
        """Start a worker process and return at once.

        Args:
            variables: Added to its environment.
            durable: Keys of `DJANGO_DURABLE`; durations in seconds.
        """
        name = name or f"worker-{len(self.started) + 1}"
        environment = {
            **self._environment,
            VARIABLE: str(self._directory),
            "DJANGO_SETTINGS_MODULE": "tests.acceptance.settings",
            "ACCEPTANCE_DURABLE": json.dumps(durable),
            **(variables or {}),
        }
        log = self._directory / f"{name}-{len(self.started)}.log"
        self.started.append(WorkerProcess(name, ["--worker-id", name, *arguments], environment, log))
        return self.started[-1]

    def expect(self, text: str) -> None:
        """Let workers write one of `LOST_ORDER` in this test."""
        self.expected.append(text)

    def close(self) -> None:
        """Kill what still runs."""
        for each in self.started:
            if each.process.poll() is None:
                each.kill()

    def check_logs(self) -> None:
        """Fail where a worker wrote what none may write."""
        for each in self.started:
            found = [text for text in LOST_ORDER if text in each.log and text not in self.expected]
            assert not found, f"{each.name} wrote {found}:\n{each.log}"
