"""`manage.py serve`, as `make serve` runs it: a site and a worker that end together."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.acceptance.stage import DEADLINE, until

MANAGE = Path(__file__).parents[2] / "manage.py"


@pytest.fixture
def address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return f"127.0.0.1:{found.getsockname()[1]}"


@pytest.fixture
def serve(database_environment, durable_db, address, tmp_path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts `manage.py serve`, its output in `tmp_path / "log"`."""
    environment = {**database_environment, "DJANGO_SETTINGS_MODULE": "example_project.settings"}
    with (tmp_path / "log").open("wb") as log, ExitStack() as started:

        def start() -> subprocess.Popen[bytes]:
            command = [sys.executable, str(MANAGE), "serve", address]
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            started.callback(process.wait, DEADLINE)
            started.callback(process.terminate)
            return process

        yield start


def page(address: str) -> str:
    try:
        with urlopen(f"http://{address}/", timeout=DEADLINE) as response:
            return response.read().decode()
    except URLError:
        return ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_site_and_worker_start_together_and_end_together(serve, address, tmp_path, number):
    from django_durable.client import client

    serving = serve()
    assert "Nothing is on sale yet." in until(lambda: page(address), "the site")
    until(client.list_workers, "the worker")
    assert f"http://{address}/ (log in as 'customer' or 'staff', password 'demo')" in (tmp_path / "log").read_text()

    serving.send_signal(number)
    assert serving.wait(DEADLINE) == 0
    assert not page(address)
    assert not client.list_workers()
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_an_address_that_is_taken_ends_the_worker_as_well(serve, address, tmp_path):
    from django_durable.client import client

    host, _, port = address.partition(":")
    with socket.create_server((host, int(port))):
        assert serve().wait(DEADLINE) == 1
    assert "Couldn't listen" in (tmp_path / "log").read_text()
    assert "The site ended by itself" in (tmp_path / "log").read_text()
    assert not client.list_workers()
