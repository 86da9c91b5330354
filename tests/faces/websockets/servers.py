"""A real server in a process of its own, on a port that was free."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.acceptance.stage import until

_LISTENING = re.compile(r"Listening on TCP address 127\.0\.0\.1:(\d+)")


class Server:
    """`daphne` with the application of `site.asgi`; started again, it has the same address."""

    def __init__(self, log: Path, environment: Mapping[str, str], **durable: Any) -> None:
        self._log = log
        self._environment = {
            **environment,
            "DJANGO_SETTINGS_MODULE": "tests.faces.websockets.site.settings",
            "SITE_DURABLE": json.dumps(durable),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self._log.read_text()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        endpoint = f"tcp:port={self.port}:interface=127.0.0.1"
        command = [sys.executable, "-m", "daphne", "-e", endpoint, "tests.faces.websockets.site.asgi:application"]
        with self._log.open("wb") as file:
            self._process = subprocess.Popen(
                command, env=self._environment, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
            )
        until(self._is_listening, "a server that listens")
        found = _LISTENING.search(self.log)
        assert found is not None
        self.port = int(found[1])

    def stop(self) -> None:
        """End it as a deploy does."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def _is_listening(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        return _LISTENING.search(self.log) is not None
