"""Statuses and moves, from `engine/states.py`, as tables; `drawing` draws them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

from django_durable.engine import states
from django_durable.engine.states import CLAIMABLE, MOVES, PARKED, TERMINAL, Move, RuntimeStatus

from . import markdown


def meanings() -> dict[str, str]:
    """Return each status's line of the module's docstring. Raises: ValueError: one has none."""
    found = dict(re.findall(r"^ {4}(\w+) +(.+)$", states.__doc__ or "", re.MULTILINE))
    if set(found) != set(RuntimeStatus):
        raise ValueError(f"engine/states.py describes {sorted(found)}, and the statuses are {sorted(RuntimeStatus)}.")
    return found


def causes() -> dict[Move, str]:
    """Return the comment beside each move. Raises: ValueError: one has none."""
    comments = dict(re.findall(r'^    (\w+) = "\w+"  # (.+)$', inspect.getsource(Move), re.MULTILINE))
    if set(comments) != {each.name for each in Move}:
        raise ValueError(f"engine/states.py explains {sorted(comments)}, and the moves are {[*Move.__members__]}.")
    return {each: comments[each.name] for each in Move}


def statuses() -> Iterator[str]:
    """Yield each status."""
    kinds = {**dict.fromkeys(CLAIMABLE, "open"), **dict.fromkeys(PARKED, "parked"), **dict.fromkeys(TERMINAL, "final")}
    rows = ((f"`{each}`", kinds[each], meanings()[each]) for each in RuntimeStatus)
    yield from markdown.grid(("status", "kind", "means"), rows)


def moves() -> Iterator[str]:
    """Yield each arrow: from, to, and what causes it."""
    rows = (
        (f"`{move}`", ", ".join(f"`{each}`" for each in sources), f"`{target}`", causes()[move])
        for move, table in MOVES.items()
        for target, sources in targets(table).items()
    )
    yield from markdown.grid(("move", "from", "to", "cause"), rows)


def targets(table: dict[RuntimeStatus, RuntimeStatus]) -> dict[RuntimeStatus, list[RuntimeStatus]]:
    """Return where a move leads, with where it starts."""
    found: dict[RuntimeStatus, list[RuntimeStatus]] = {}
    for source, target in table.items():
        found.setdefault(target, []).append(source)
    return found
