"""What was measured, and on what, is kept as JSON in `benchmarks/results/`, a file for each measurement."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .databases import Databases

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def say(what: str) -> None:
    """Tell whoever waits for the figures what is going on."""
    print(f"{datetime.now(UTC):%H:%M:%S} {what}", file=sys.stderr, flush=True)


def keep(name: str, databases: Databases, found: dict[str, Any]) -> Path:
    """Write what was found under a name; the last measurement of that name counts. Returns: the file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"about": _about(databases), **found}, indent=1) + "\n")
    return path


def kept(name: str) -> dict[str, Any] | None:
    """Return what was last kept under a name, or None."""
    path = RESULTS / f"{name}.json"
    found: dict[str, Any] | None = json.loads(path.read_text()) if path.exists() else None
    return found


def kept_peers() -> dict[str, Any] | None:
    """Return the comparisons on all databases as one, or None; `parts` are those of one database each."""
    parts = [found for database in ("postgresql", "sqlite") if (found := kept(f"peers-{database}")) is not None]
    if not parts:
        return None
    together = {name: [each for part in parts for each in part[name]] for name in ("figures", "settings")}
    return {"parts": parts, **together}


def _about(databases: Databases) -> dict[str, Any]:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "commit": commit.stdout.strip(),
        "python": platform.python_version(),
        "django": version("django"),
        "psycopg": version("psycopg"),
        "postgresql": databases.version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
