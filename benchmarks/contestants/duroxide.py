"""Duroxide's Python package: one runtime, and a client in another process."""

from __future__ import annotations

import threading
from typing import Any

from benchmarks.stamps import Stamps

DATABASES = ("postgresql", "sqlite")
CONCURRENCIES = (8, 2)
MOST: dict[str, int] = {}


def _provider(url: str) -> Any:
    from duroxide import PostgresProvider, SqliteProvider

    return SqliteProvider.open(url) if url.startswith("sqlite") else PostgresProvider.connect(url)


def prepare(url: str) -> None:
    if url.startswith("sqlite"):
        open(url.removeprefix("sqlite:///"), "a").close()
    _provider(url)


def serve(url: str, concurrency: int) -> None:
    from duroxide import Runtime, RuntimeOptions

    options = RuntimeOptions(
        orchestration_concurrency=concurrency, worker_concurrency=concurrency, dispatcher_poll_interval_ms=10
    )
    runtime, stamps = Runtime(_provider(url), options), Stamps()

    def noop(ctx: Any, number: int) -> int:
        stamps.add()
        return number

    def chain(ctx: Any, size: int) -> Any:
        for number in range(size):
            yield ctx.schedule_activity("noop", number)
        return size

    def fan_out(ctx: Any, size: int) -> Any:
        yield ctx.all([ctx.schedule_activity("noop", number) for number in range(size)])
        return size

    runtime.register_activity("noop", noop)
    runtime.register_orchestration("chain", chain)
    runtime.register_orchestration("fan_out", fan_out)
    runtime.start()
    threading.Event().wait()


class Client:
    def __init__(self, url: str) -> None:
        from duroxide import Client

        self._client = Client(_provider(url))

    def start(self, id: str, workload: str, size: int) -> None:
        self._client.start_orchestration(id, workload, size)

    def wait(self, id: str) -> Any:
        status = self._client.wait_for_orchestration(id, 600_000)
        assert status.status == "Completed", (status.status, status.error)
        return status.output
