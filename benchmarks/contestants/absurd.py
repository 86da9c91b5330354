"""Absurd: one synchronous worker, and a client in another process. PostgreSQL only.

Steps run where their task was claimed. Absurd has no parallel steps within a task, so it has no fan-out here.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.stamps import Stamps

DATABASES = ("postgresql",)
CONCURRENCIES = (8, 1)
MOST = {"fan_out": 0}
"""It has no parallel steps."""


def prepare(url: str) -> None:
    from absurd_sdk import Absurd

    subprocess.run([Path(sys.executable).with_name("absurdctl"), "init", "--database", url], check=True, text=True)
    Absurd(url).create_queue("default")


def serve(url: str, concurrency: int) -> None:
    from absurd_sdk import Absurd

    app, stamps = Absurd(url), Stamps()

    @app.register_task("chain")
    def chain(size: int, ctx: Any) -> int:
        def noop(number: int) -> int:
            stamps.add()
            return number

        for number in range(size):
            ctx.step(f"noop {number}", lambda number=number: noop(number))
        return size

    app.start_worker(concurrency=concurrency, poll_interval=0.01)


class Client:
    def __init__(self, url: str) -> None:
        from absurd_sdk import Absurd

        self._app = Absurd(url)
        self._tasks: dict[str, str] = {}

    def start(self, id: str, workload: str, size: int) -> None:
        self._tasks[id] = self._app.spawn(workload, size, queue="default")["task_id"]

    def wait(self, id: str) -> Any:
        return self._app.await_task_result(self._tasks[id], timeout=600, queue_name="default")
