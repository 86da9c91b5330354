"""Worker processes: one that stays, and others that are killed and stopped by turns."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from django_durable.models import Worker

from .pulse import Pulse

ROOT = Path(__file__).resolve().parent.parent.parent
PAUSE = (4.0, 12.0)
"""Seconds from one restart to the next."""

LISTENING = 5.0
"""Seconds from one look at the heartbeats to the next."""

SILENT = 20.0
"""Seconds without a heartbeat, four leases, after which a worker whose process lives counts as one that hangs."""

STARTING = 60.0
"""Seconds that a process may take until its first."""

STOPPING = 90.0
"""Seconds after which a worker that was asked to stop counts as one that hangs."""


class Fleet:
    """Runs workers of the settings in the environment.

    Attributes:
        counts: Kills, stops, stops that did not end with 0 in time, and workers that ended by themselves.
        silent: The names of workers that gave no heartbeat while their process, and the machine, ran.
    """

    def __init__(self, directory: Path, workers: int, chance: random.Random, pulse: Pulse) -> None:
        self._directory = directory
        self._pulse = pulse
        self._begun: dict[int, float] = {}
        self._next_look = time.monotonic()
        self.silent: set[str] = set()
        self._chance = chance
        self._started = 0
        self.counts = Counter({"kills": 0, "stops": 0, "bad stops": 0, "ended by themselves": 0})
        self.veteran = self._start("veteran")
        self._others = [self._start(f"worker-{number}") for number in range(1, workers)]
        self._stopping: list[tuple[subprocess.Popen[bytes], float]] = []
        self._next = time.monotonic() + chance.uniform(*PAUSE)

    def tend(self) -> None:
        """Restart a worker if it is time to, and note which of those that were asked to stop have."""
        self._reap()
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LISTENING
            self._listen()
        if time.monotonic() >= self._next and self._others:
            self._next = time.monotonic() + self._chance.uniform(*PAUSE)
            self._restart(self._chance.randrange(len(self._others)))

    def close(self) -> None:
        """Ask everybody to stop, and wait until they have."""
        for process in (self.veteran, *self._others):
            self._ask_to_stop(process)
        while self._stopping:
            self._reap()
            time.sleep(0.05)

    def kill(self) -> None:
        """Leave no process behind, whatever happened."""
        for process in (self.veteran, *self._others, *(each for each, _ in self._stopping)):
            if process.poll() is None:
                process.kill()
                process.wait()

    def memory(self) -> float:
        """Return how many MB the worker that stays has in memory."""
        for line in Path(f"/proc/{self.veteran.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def complaints(self) -> list[str]:
        """Return the lines of the logs that tell of an error nobody expected."""
        lines = [line for log in sorted(self._directory.glob("*.log")) for line in log.read_text().splitlines()]
        return [line for line in lines if "Traceback" in line or " ERROR " in line or "database is locked" in line]

    def _listen(self) -> None:
        """Note whose heartbeat is missing."""
        beats = dict(Worker.objects.values_list("worker_id", "heartbeat_at"))
        now = time.time()
        for process in (self.veteran, *self._others):
            name = str(process.args[-1])  # type: ignore[index]
            beat = max(beats[name].timestamp() + SILENT if name in beats else 0.0, self._begun[process.pid] + STARTING)
            if process.poll() is None and now > beat and not self._pulse.touched(now - STARTING, now):
                self.silent.add(name)

    def _restart(self, place: int) -> None:
        process = self._others[place]
        if process.poll() is not None:
            self.counts["ended by themselves"] += 1
        elif self._chance.random() < 0.5:
            self.counts["kills"] += 1
            process.kill()
            process.wait()
        else:
            self.counts["stops"] += 1
            self._ask_to_stop(process)
        self._others[place] = self._start(f"worker-{place + 1}-{self._started}")

    def _ask_to_stop(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        self._stopping.append((process, time.monotonic()))

    def _reap(self) -> None:
        for process, asked in list(self._stopping):
            code = process.poll()
            if code is None and time.monotonic() - asked < STOPPING:
                continue
            if code is None:
                process.kill()
                process.wait()
            # The signal itself ends one that is not up yet.
            self.counts["bad stops"] += code not in (0, -signal.SIGTERM)
            self._stopping.remove((process, asked))

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        self._started += 1
        command = [sys.executable, str(ROOT / "manage.py"), "durable_worker", "--no-reload", "--worker-id", name]
        with (self._directory / f"{self._started:04d}-{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=dict(os.environ), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        self._begun[process.pid] = time.time()
        return process
