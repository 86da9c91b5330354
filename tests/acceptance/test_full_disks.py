"""The disk of the database is full for a while: nothing is lost, and work goes on when there is room again."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.databases import VARIABLE

from .own import default_database, recovery
from .processes import ROOT, Workers
from .stage import until
from .test_faults import check_many, start_many

SIZE = "24m"
OF_ITS_OWN = ("unshare", "--user", "--map-root-user", "--mount")
"""Runs a command where whoever runs it may mount, if the system lets its users have that."""

INSIDE = "DURABLE_INSIDE_NAMESPACE"


class Disk:
    """A small file system of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._filler = directory / "filler"

    def fill(self) -> None:
        """Leave no room, as a log that grows does."""
        file = os.open(self._filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with suppress(OSError):
            while True:
                os.write(file, bytes(2**16))
        os.close(file)

    def clear(self) -> None:
        self._filler.unlink()


def mount(directory: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(directory)], capture_output=True, check=False
    )


@pytest.fixture
def disk() -> Iterator[Disk]:
    directory = Path(tempfile.mkdtemp(prefix="durable-disk-"))
    mounted = mount(directory)
    if mounted.returncode:
        directory.rmdir()
        pytest.skip(f"needs the right to mount a tmpfs: {mounted.stderr.decode().strip()}")
    yield Disk(directory)
    subprocess.run(["umount", "--lazy", str(directory)], check=True)
    directory.rmdir()


@pytest.fixture
def cramped_workers(request, disk, stage, database_vendor, database_environment, django_db_blocker):
    """Workers whose database has its tables on that disk."""
    if database_vendor == "sqlite":
        url, tablespace = f"sqlite:///{disk.directory / 'small.sqlite3'}?tuned", ""
    else:
        url, tablespace = _with_tablespace(request.getfixturevalue("server").url, disk.directory), "small"
    made = Workers(stage.directory, {**database_environment, VARIABLE: url, "DATABASE_URL": url})
    with django_db_blocker.unblock(), default_database(url, tablespace):
        try:
            yield made
        finally:
            made.close()
    made.check_logs()


def _with_tablespace(url: str, directory: Path) -> str:
    import psycopg

    place = directory / "tables"
    place.mkdir()
    with psycopg.connect(url, autocommit=True) as connection:
        (data,) = connection.execute("SHOW data_directory").fetchone()
        owner = os.stat(data)
        os.chown(place, owner.st_uid, owner.st_gid)
        connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
    return url


def test_a_full_disk_stops_the_work_and_loses_nothing_of_it(disk, cramped_workers, client, stage):
    from .models import Effect

    cramped_workers.expect("Traceback")
    pair = [cramped_workers.start(LEASE=5), cramped_workers.start(LEASE=5)]
    for each in pair:
        each.wait_until_started()
    keys = start_many(client, 120)
    stage.wait_for_runs(60)
    disk.fill()
    for each in pair:
        until(lambda: "No space left" in each.log or "disk is full" in each.log, "the worker to notice")  # noqa: B023
    disk.clear()
    before = len(stage.runs())
    with recovery("disk full, from when there is room until activities run again"):
        stage.wait_for_runs(before + 1)
    check_many(client, keys, Effect)
    assert [each.process.poll() for each in pair] == [None, None], pair[0].log + pair[1].log
    assert [each.stop() for each in pair] == [0, 0]


@pytest.mark.only_on("sqlite")
@pytest.mark.skipif(INSIDE in os.environ, reason="it is what runs")
def test_it_does_so_in_a_namespace_where_nobody_may_mount(tmp_path):
    """PostgreSQL cannot be there: it does not run as root, not even as one of a namespace."""
    if mount(tmp_path).returncode == 0:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)
        pytest.skip("whoever runs this may mount")
    if subprocess.run([*OF_ITS_OWN, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs user namespaces")
    itself = f"{__file__}::test_a_full_disk_stops_the_work_and_loses_nothing_of_it"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--database=sqlite", "-n", "0", "-rs", itself]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "DURABLE_"))}
    found = subprocess.run(
        [*OF_ITS_OWN, *command], env={**environment, INSIDE: "1"}, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "1 passed" in found.stdout
