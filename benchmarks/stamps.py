"""When activities ran: eight bytes each in a file, so that noting it costs every contestant the same microseconds."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

VARIABLE = "BENCHMARK_STAMPS"
_ONE = struct.Struct("d")


class Stamps:
    """Appends the time at each call; does nothing where the environment names no file."""

    def __init__(self) -> None:
        path = os.environ.get(VARIABLE)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if path else None

    def add(self) -> None:
        if self._file is not None:
            os.write(self._file, _ONE.pack(time.time()))


def read(path: Path) -> list[float]:
    """Return the times in a file, in the order in which they were written."""
    return [stamp for (stamp,) in _ONE.iter_unpack(path.read_bytes())]
