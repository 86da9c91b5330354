"""DBOS Transact: one process with a queue, and a client in another process that enqueues.

A queue is how DBOS is reached from another process. Its workflows and the steps of a chain run where they were
dequeued; a fan-out enqueues its steps, as its documentation does for parallel work.
"""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import urlencode

from benchmarks.stamps import Stamps

DATABASES = ("postgresql", "sqlite")
CONCURRENCIES = (16, 50)
MOST = {"fan_out": 500}
"""At some 70 activities/s, 5,000 of them take longer than a run may."""
QUEUE = "benchmark"
PARALLEL = "parallel"
POLL_SECONDS = 0.05


def _url(url: str) -> str:
    """Return a URL as SQLAlchemy reads it: the folder of a socket is a parameter."""
    if not url.startswith("postgresql"):
        return url
    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(url)
    place = urlencode({name: parts[name] for name in ("host", "port") if name in parts})
    return f"postgresql+psycopg://{parts['user']}@/{parts['dbname']}?{place}"


def _launch(url: str, concurrency: int) -> None:
    from dbos import DBOS

    stamps = Stamps()

    @DBOS.step(name="noop")
    def noop(number: int) -> int:
        stamps.add()
        return number

    @DBOS.workflow(name="chain")
    def chain(size: int) -> int:
        for number in range(size):
            noop(number)
        return size

    @DBOS.workflow(name="one")
    def one(number: int) -> int:
        return noop(number)

    @DBOS.workflow(name="fan_out")
    def fan_out(size: int) -> int:
        for handle in [DBOS.enqueue_workflow(PARALLEL, one, number) for number in range(size)]:
            handle.get_result()
        return size

    config = {"name": "benchmark", "system_database_url": _url(url), "log_level": "ERROR", "sys_db_pool_size": 20}
    DBOS(config=config)
    DBOS.launch()
    for name in (QUEUE, PARALLEL):
        DBOS.register_queue(name, worker_concurrency=concurrency, polling_interval_sec=POLL_SECONDS)


def prepare(url: str) -> None:
    from dbos import DBOS

    _launch(url, 1)
    DBOS.destroy()


def serve(url: str, concurrency: int) -> None:
    _launch(url, concurrency)
    threading.Event().wait()


class Client:
    def __init__(self, url: str) -> None:
        from dbos import DBOSClient

        self._client = DBOSClient(system_database_url=_url(url))

    def start(self, id: str, workload: str, size: int) -> None:
        self._client.enqueue({"queue_name": QUEUE, "workflow_name": workload, "workflow_id": id}, size)

    def wait(self, id: str) -> Any:
        return self._client.retrieve_workflow(id).get_result(polling_interval_sec=0.01)
