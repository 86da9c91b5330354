"""Whether the machine stood still: what another process saw that does nothing but look at the clock.

A load that is held up by the database, or by a worker that hangs, is no such moment: this process goes on meanwhile.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from typing import NamedTuple

BEAT_SECONDS = 0.1
STANDSTILL_SECONDS = 5.0


class Standstill(NamedTuple):
    """From when to when nothing ran; on the monotonic clock, and as seconds since 1970."""

    begin: float
    end: float
    began_at: float
    ended_at: float

    def within(self, since: float, until: float) -> float:
        """Return how many seconds of it lie between two moments of the monotonic clock."""
        return max(min(self.end, until) - max(self.begin, since), 0.0)


class Pulse:
    """Runs that process, and keeps what it saw.

    Args:
        shortest: Seconds: a shorter one is none.
    """

    def __init__(self, shortest: float = STANDSTILL_SECONDS) -> None:
        self._shortest = shortest
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        self.standstills: list[Standstill] = []
        self.pid = self._process.pid

    def look(self) -> float:
        """Hear what it saw up to now. Returns: now, on the monotonic clock."""
        now = time.monotonic()
        assert self._process.stdout is not None
        for line in self._process.stdout:
            beat = Standstill(*map(float, line.split()))
            if beat.end - beat.begin >= self._shortest:
                self.standstills.append(beat)
            if beat.end >= now:
                return now
        raise RuntimeError("The process that tells whether the machine stands still has ended.")

    def within(self, since: float, until: float) -> float:
        """Return for how many seconds between two moments the machine stood still."""
        return sum(each.within(since, until) for each in self.standstills)

    def touched(self, since: float, until: float) -> bool:
        """Tell whether it stood still between two times, as seconds since 1970."""
        return any(each.began_at < until and since < each.ended_at for each in self.standstills)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def beat() -> None:
    """Tell from when to when, again and again. Whoever does not listen holds up nothing."""
    os.set_blocking(sys.stdout.fileno(), False)
    told = b""
    begin, began_at = time.monotonic(), time.time()
    while True:
        time.sleep(BEAT_SECONDS)
        end, ended_at = time.monotonic(), time.time()
        told += f"{begin} {end} {began_at} {ended_at}\n".encode()
        with suppress(BlockingIOError):
            told = told[os.write(sys.stdout.fileno(), told) :]
        begin, began_at = end, ended_at


if __name__ == "__main__":
    beat()
