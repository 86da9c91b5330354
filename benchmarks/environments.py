"""Environments of their own for what only the benchmarks need: the peers, and what draws."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .results import ROOT


def python_of(name: str) -> Path:
    """Return the interpreter of `.venvs/NAME`, made of `requirements/NAME.txt` and made anew when that changes."""
    environment, wanted = ROOT / ".venvs" / name, ROOT / "requirements" / f"{name}.txt"
    python, stamp = environment / "bin" / "python", environment / ".installed"
    if not stamp.exists() or stamp.read_text() != wanted.read_text():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", wanted], check=True)
        stamp.write_text(wanted.read_text())
    return python
