"""The README says what is true: every verb and method of its tables exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from django_durable.client import Client
from django_durable.engine.context import OrchestrationContext

README = (Path(__file__).parent.parent / "README.md").read_text()
ROWS = [line.split("|")[1] for line in README.splitlines() if line.startswith("| `")]
ON_INSTANCES = {"random", "logger"}
NOT_METHODS = {"client", "a", "fn"}


def names(cell: str) -> list[str]:
    """Return the names in a table cell; `_suffix` continues the first name of the cell."""
    found: list[str] = []
    for each in re.findall(r"`([^`]*)`", cell):
        name = re.sub(r"^(ctx\.|client\.)", "", each).split("(")[0]
        if name and not name.startswith("."):
            found.append(found[0] + name if name.startswith("_") else name)
    return [name for name in found if "." not in name and name not in NOT_METHODS]


@pytest.mark.parametrize("cell", [row for row in ROWS if "`ctx." in row])
def test_every_verb_of_the_readme_exists(cell):
    assert names(cell)
    for name in names(cell):
        assert name in ON_INSTANCES or hasattr(OrchestrationContext, name), name


@pytest.mark.parametrize(
    "cell", [row for row in ROWS if "`ctx." not in row and "`." not in row and "client." not in row]
)
def test_every_method_of_the_readme_exists_with_its_async_twin(cell):
    assert names(cell)
    for name in names(cell):
        assert hasattr(Client, name), name
        assert hasattr(Client, f"a{name}"), f"a{name}"
