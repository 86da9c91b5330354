"""Whatever is done to the data of a checkpoint, loading it raises errors that say what happened, or works."""

from __future__ import annotations

import contextlib
import copy
import json
import random
from typing import Any

import pytest

from django_durable.engine.checkpoint import compile_function, dump, load
from django_durable.engine.errors import AuthorError

from .forms import FORMS
from .support import World

VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    7,
    10**30,
    1.5,
    "",
    "x",
    "list",
    "frame",
    "os:system",
    [],
    [0],
    [1],
    [99],
    {},
    {"a": [0]},
]


def places(data: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Return every place in the data: a list or dict, and the key of one thing in it."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        found.append((data, key))
        places(value, found)
    return found


def damaged(data: Any, chance: random.Random) -> Any:
    """Return a copy with one place changed: another value, one from elsewhere, nothing at all, one more."""
    data = copy.deepcopy(data)
    everywhere = places(data, [])
    holder, key = chance.choice(everywhere)
    match chance.randrange(4):
        case 0:
            holder[key] = chance.choice(VALUES)
        case 1:
            other, there = chance.choice(everywhere)
            holder[key] = copy.deepcopy(other[there])
        case 2:
            del holder[key]
        case 3 if isinstance(holder, list):
            holder.insert(key, chance.choice(VALUES))
    return data


@pytest.mark.parametrize("heading", FORMS)
def test_damaged_data_raises_typed_errors_only(heading: str) -> None:
    chance = random.Random(heading)
    for form in FORMS[heading]:
        compiled = compile_function(form)
        frame = compiled()
        try:
            frame.send(None)
        except StopIteration:
            continue
        data = json.loads(json.dumps(dump(frame)))
        world = World(compiled)
        for _ in range(60):
            changed = damaged(data, chance)
            with contextlib.suppress(AuthorError):
                load(changed, find=world.find)
