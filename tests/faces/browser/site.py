"""The example as its users meet it: daphne and a worker, each a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.acceptance.processes import ROOT, WorkerProcess
from tests.acceptance.stage import DEADLINE, until


class Site:
    """The shop at `url`. Its worker is `worker`."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.environment = {**environment, "DJANGO_SETTINGS_MODULE": "example_project.settings"}
        self._log = directory / "site.log"
        with socket.create_server(("127.0.0.1", 0)) as found:
            self._port = found.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self.start_server()
        self.worker = self.new_worker("browser", directory / "worker.log")
        self.wait_until_answering()
        self.worker.wait_until_started()

    def start_server(self) -> None:
        command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(self._port)]
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                [*command, "example_project.asgi:application"],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def new_worker(self, name: str, log: Path) -> WorkerProcess:
        """Start a worker: one process, so that it is the one that is killed or hangs."""
        return WorkerProcess(name, ["--worker-id", name, "--no-reload"], self.environment, log)

    def stop_server(self) -> None:
        self._server.terminate()
        self._server.wait(DEADLINE)

    @contextmanager
    def without_worker(self) -> Iterator[None]:
        """Let nothing go on for a while, as when the worker's machine hangs."""
        self.worker.stall()
        try:
            yield
        finally:
            self.worker.revive()

    def close(self) -> None:
        """End both. The logs must have no surprises in them."""
        self.stop_server()
        self.worker.stop()
        for log in (self._log.read_text(), self.worker.log):
            before, found, after = log.partition("Traceback")
            assert not found, before[-2000:] + found + after[:6000]

    def wait_until_answering(self) -> None:
        def answers() -> bool:
            assert self._server.poll() is None, self._log.read_text()
            try:
                return urlopen(f"{self.url}/durable/health/live/", timeout=DEADLINE).status == 200
            except URLError:
                return False

        until(answers, "the site")
