"""The catalogue file: real cities from GeoNames. Origin and licence: `example_project/data/README.md`."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parent.parent / "data"
CITIES = "cities.csv"


def rows(source: str, first: int = 0, count: int | None = None) -> Iterator[dict[str, str]]:
    """Yield `count` rows of a catalogue file (all by default) from row `first` (0-based) on."""
    with (DIRECTORY / source).open(encoding="utf-8", newline="") as file:
        yield from islice(csv.DictReader(file), first, None if count is None else first + count)
