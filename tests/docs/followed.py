"""The pages that a reader follows from an empty folder."""

from __future__ import annotations

from .blocks import ROOT

FOLLOWED = [
    *sorted((ROOT / "docs" / "tutorial").glob("[0-9]*.md")),
    ROOT / "docs" / "how-to" / "testing.md",
    ROOT / "README.md",
]
