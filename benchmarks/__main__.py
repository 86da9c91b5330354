"""`python -m benchmarks`: measure everything, beside the peers and alone, on both databases, and say what is reached.

Takes 25 minutes on a quiet machine of two cores. `--only` and `--databases` choose. What is found is kept;
`python -m benchmarks.report` writes it into the documentation.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from contextlib import ExitStack

from .comparison import CONTESTANTS, WORKLOADS, compare, table
from .databases import Databases
from .results import ROOT, keep, say
from .scale import MEASURES
from .targets import told

VENDORS = ("postgresql", "sqlite")
PARTS = ("peers", *MEASURES)


def main() -> None:
    options = _options()
    with ExitStack() as stack:
        databases = Databases(stack)
        for part in options.only:
            begun = time.monotonic()
            if part == "peers":
                _peers(databases, options)
            else:
                for vendor in options.databases:
                    _alone(part, vendor, databases)
            say(f"{part} took {time.monotonic() - begun:.0f} s")
    print(told())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--databases", nargs="+", default=VENDORS, choices=VENDORS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--contestants", nargs="+", default=CONTESTANTS, choices=CONTESTANTS)
    parser.add_argument("--workloads", nargs="+", default=list(WORKLOADS), choices=list(WORKLOADS))
    return parser.parse_args()


def _peers(databases: Databases, options: argparse.Namespace) -> None:
    for vendor in options.databases:
        found = compare(
            databases,
            rounds=options.rounds,
            contestants=options.contestants,
            workloads=options.workloads,
            vendors=[vendor],
        )
        print(table(found), flush=True)
        keep(f"peers-{vendor}", databases, found)


def _alone(name: str, vendor: str, databases: Databases) -> None:
    """Run one measure in a process of its own, since Django's settings name one database; go on where it fails."""
    say(f"{name} on {vendor}")
    command = [sys.executable, "-m", "benchmarks.scale", name, "--database", vendor]
    run = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "DATABASE_URL": databases.url}, stdout=subprocess.DEVNULL
    )
    if run.returncode:
        say(f"{name} on {vendor} failed; what was kept of it before stays")


if __name__ == "__main__":
    main()
