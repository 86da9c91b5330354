"""`python -m benchmarks.soak`: the example under mixed load, with workers killed and stopped; ends with a table.

Exit code 0: nothing was lost, doubled, stuck or left over, every worker that was asked to stop did, and, in runs of at
least five minutes, memory, latency and tables did not grow.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.databases import Databases

from .pulse import Pulse

if TYPE_CHECKING:
    from .fleet import Fleet
    from .load import Load

DRAIN_SECONDS = 90.0
TICK_SECONDS = 0.2
LONG_ENOUGH = 5.0
"""Minutes from which on growth is judged: before, all there is to see is the start."""


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # So that it leaves no worker behind.
    with ExitStack() as stack:
        url = stack.enter_context(Databases(stack).fresh(options.database))
        os.environ |= {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "benchmarks.soak.settings"}
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        _set_up(stack)
        return _soak(options, directory)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--workers", type=int, default=3, help="One of them is never restarted.")
    parser.add_argument("--rate", type=float, default=6.0, help="Instances started per second.")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def _set_up(stack: ExitStack) -> None:
    import django
    from django.core.management import call_command
    from django.db import connections

    django.setup()
    call_command("migrate", verbosity=0)
    stack.callback(connections.close_all)


def _soak(options: argparse.Namespace, directory: Path) -> int:
    from .fleet import Fleet
    from .gauges import Gauges, grown, table
    from .load import Load

    pulse = Pulse()
    fleet = Fleet(directory, options.workers, random.Random(f"fleet {options.seed}"), pulse)
    try:
        load = Load(options.rate, random.Random(f"load {options.seed}"), pulse)
        gauges = Gauges(fleet.memory, lambda: load.open)
        end = time.monotonic() + options.minutes * 60
        while time.monotonic() < end:
            load.add()
            load.follow()
            fleet.tend()
            gauges.read()
            time.sleep(TICK_SECONDS)
        drained = time.monotonic() + DRAIN_SECONDS
        while load.open and time.monotonic() < drained:
            load.follow()
            time.sleep(TICK_SECONDS)
        fleet.close()
    finally:
        fleet.kill()
        pulse.close()
    problems = _problems(load, fleet)
    if options.minutes >= LONG_ENOUGH:
        problems += grown(gauges.samples, load.latencies)
    _report(options, load, fleet, pulse, table(gauges.samples, load.latencies), problems)
    return 1 if problems else 0


def _problems(load: Load, fleet: Fleet) -> list[str]:
    found = {
        f"{len(load.lost)} lost: {load.lost[:5]}": load.lost,
        f"{len(load.stuck)} took longer than a minute: {sorted(load.stuck)[:5]}": load.stuck,
        f"{load.open} have not ended": load.open,
        f"workers that hung: {sorted(fleet.silent)}": fleet.silent,
        f"{fleet.counts['bad stops']} workers did not stop in order": fleet.counts["bad stops"],
        f"{fleet.counts['ended by themselves']} workers ended by themselves": fleet.counts["ended by themselves"],
    }
    return [text for text, there in found.items() if there] + load.unexpected() + fleet.complaints()


def _report(
    options: argparse.Namespace, load: Load, fleet: Fleet, pulse: Pulse, table: str, problems: list[str]
) -> None:
    slowest = max((latency for _, latency in load.latencies), default=0.0)
    print(table)
    print(
        f"\n{options.database}, {options.minutes:g} minutes: {load.started:,} instances started, "
        f"{fleet.counts['kills']} workers killed, {fleet.counts['stops']} stopped, {len(load.lost)} lost, "
        f"{len(load.stuck)} stuck; the slowest order took {slowest:.1f} s."
    )
    if stalls := [each.end - each.begin for each in pulse.standstills]:
        print(
            f"The machine stood still {len(stalls)} times, for {sum(stalls):.0f} s, {max(stalls):.0f} s at most "
            f"for a process that only looks at the clock. {load.unseen} instances ended and were deleted "
            f"meanwhile, {load.excused} activities timed out."
        )
    for (kind, status), count in sorted(load.ended.items()):
        print(f"  {kind:<8} {status:<10} {count:>8,}")
    print("\n".join(["", "Problems:", *problems[:50]]) if problems else "\nNo problems.")


if __name__ == "__main__":
    sys.exit(main())
