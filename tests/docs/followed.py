"""The pages that a reader follows, and where each begins."""

from __future__ import annotations

from .blocks import ROOT

FROM_NOTHING = sorted((ROOT / "docs" / "tutorial").glob("[0-9]*.md"))
"""Begin in an empty folder."""

IN_A_PROJECT = [
    ROOT / "README.md",
    ROOT / "docs" / "how-to" / "crashes.md",
    ROOT / "docs" / "how-to" / "testing.md",
    ROOT / "docs" / "how-to" / "versioning.md",
]
"""Begin in a project with an app `orders` that has an `Order`."""

APPROVAL = ROOT / "docs" / "tutorial" / "2-approval.md"
"""Followed in `test_approval_page.py`, which then looks at what it made."""

FOLLOWED = [*FROM_NOTHING, *IN_A_PROJECT]
