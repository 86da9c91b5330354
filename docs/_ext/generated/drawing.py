"""The lifecycle as a drawing: SVG in the page, made of the table of moves.

What Pending and Running have in common is one arrow from the frame around both.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from math import hypot
from typing import NamedTuple

from django_durable.engine.states import CLAIMABLE, MOVES, PARKED, TERMINAL, RuntimeStatus

OPEN = "open"
ASIDE = 10
"""How far a line is moved aside where there is one back."""


class Box(NamedTuple):
    """A rectangle."""

    x: float
    y: float
    width: float = 112
    height: float = 34

    @property
    def middle(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height / 2

    def edge_towards(self, x: float, y: float) -> tuple[float, float]:
        """Return where a line from the middle to a point outside leaves the box."""
        (mx, my), (dx, dy) = self.middle, (x - self.middle[0], y - self.middle[1])
        scale = min(self.width / 2 / abs(dx) if dx else 9e9, self.height / 2 / abs(dy) if dy else 9e9)
        return mx + dx * scale, my + dy * scale


PLACES: dict[str, Box] = {
    OPEN: Box(10, 40, 310, 80),
    RuntimeStatus.PENDING: Box(22, 70),
    RuntimeStatus.RUNNING: Box(196, 70),
    RuntimeStatus.SUSPENDED: Box(440, 10),
    RuntimeStatus.BLOCKED: Box(580, 90),
    RuntimeStatus.COMPLETED: Box(10, 290),
    RuntimeStatus.FAILED: Box(200, 290),
    RuntimeStatus.TERMINATED: Box(390, 290),
    RuntimeStatus.CANCELED: Box(580, 290),
}


def lifecycle() -> str:
    """Return the diagram. Its colours are those of the theme; a screen reader is sent to the tables."""
    return (
        '<svg class="lifecycle" viewBox="0 0 700 335" role="img" '
        'aria-label="The statuses and the moves between them; the tables of this page say the same.">'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8z"/></marker></defs>{"".join(parts())}</svg>'
    )


def parts() -> Iterator[str]:
    """Yield frame, boxes and arrows."""
    frame = PLACES[OPEN]
    yield f'<rect class="frame" x="{frame.x}" y="{frame.y}" width="{frame.width}" height="{frame.height}" rx="12"/>'
    for status in RuntimeStatus:
        yield box(status)
    for (source, target), moves in arrows().items():
        yield arrow(source, target, ", ".join(moves))


def arrows() -> dict[tuple[str, str], list[str]]:
    """Return the moves between each two places. A move that keeps the status is not drawn; the table has it."""
    found: dict[tuple[str, str], list[str]] = {}
    for move, table in MOVES.items():
        for source, target in table.items():
            ends = (source, target)
            if source in CLAIMABLE and all(table.get(each) is target for each in CLAIMABLE) and target not in CLAIMABLE:
                ends = (OPEN, target)
            elif source not in CLAIMABLE and target in CLAIMABLE:
                ends = (source, OPEN)
            if ends[0] != ends[1] and move not in found.setdefault(ends, []):
                found[ends].append(move)
    return found


def box(status: RuntimeStatus) -> str:
    """Return a status."""
    place = PLACES[status]
    kind = "final" if status in TERMINAL else "parked" if status in PARKED else "open"
    x, y = place.middle
    return (
        f'<g class="{kind}"><rect x="{place.x}" y="{place.y}" width="{place.width}" height="{place.height}" rx="8"/>'
        f'<text x="{x}" y="{y + 5}">{escape(status)}</text></g>'
    )


def arrow(source: str, target: str, label: str) -> str:
    """Return a line between two places, with its label; two ways between them lie beside each other."""
    start, end = PLACES[source], PLACES[target]
    (x1, y1), (x2, y2) = start.edge_towards(*end.middle), end.edge_towards(*start.middle)
    if (target, source) in arrows():
        length = hypot(x2 - x1, y2 - y1) / ASIDE
        dx, dy = (y1 - y2) / length, (x2 - x1) / length
        (x1, y1), (x2, y2) = (x1 + dx, y1 + dy), (x2 + dx, y2 + dy)
    # Where lines that cross, and the one back, have no label.
    share = 0.5 if source != OPEN else 0.78 if target in TERMINAL else 0.6
    x, y = x1 + (x2 - x1) * share, y1 + (y2 - y1) * share
    return (
        f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" marker-end="url(#tip)"/>'
        f'<text class="move" x="{x:.0f}" y="{y + 4:.0f}">{escape(label)}</text>'
    )
