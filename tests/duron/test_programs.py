"""Programs written for Duron run with their imports changed."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
RESULT = "Good morning, Ada: 3 letters, True, True"


def run(program: str, *arguments: object) -> list[str]:
    """Run a program of this folder as a script of its own, without any Django settings."""
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    path = [str(Path(__file__).parent / program), *map(str, arguments)]
    done = subprocess.run(
        [sys.executable, "-W", "error", *path], env=environment | {"PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_script_runs_each_effect_once_and_anew_only_after_its_log_is_deleted(tmp_path):
    log = tmp_path / "logs" / "log.jsonl"
    assert sorted(run("greeting.py", log)) == [RESULT, RESULT, RESULT, "counting", "fetching"]
    assert run("greeting.py", log) == [RESULT, RESULT, RESULT]
    log.unlink()
    assert sorted(run("greeting.py", log)) == [RESULT, RESULT, RESULT, "counting", "fetching"]
    with sqlite3.connect(log.parent / "durable.sqlite3") as database:
        spans = database.execute("SELECT count(*) FROM django_durable_tracespan WHERE name = 'both'").fetchone()
    database.close()
    assert spans == (2,)


def test_a_script_streams_in_both_directions_and_is_interrupted(tmp_path):
    said = ["item 0", "item 1", "item 2", "[1, 3, 6] 6", "interrupted"]
    assert run("streaming.py", tmp_path) == said


def test_a_script_folds_what_its_effects_yield(tmp_path):
    result = "[['once', 'upon'], 'once upon', 'a b', -2]"
    writing = ["writing once", "writing upon", "writing b"]
    assert run("generating.py", tmp_path / "log.jsonl") == [*writing, result, result]
