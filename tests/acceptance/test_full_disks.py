"""The disk of the database is full for a while: nothing is lost, and work goes on when there is room again."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.databases import VARIABLE

from .own import default_database, recovery
from .processes import Workers
from .stage import until
from .test_faults import check_many, start_many

SIZE = "24m"


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


@pytest.fixture
def disk() -> Iterator[Disk]:
    directory = Path(tempfile.mkdtemp(prefix="durable-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(directory)], capture_output=True, check=False
    )
    if mounted.returncode:
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
