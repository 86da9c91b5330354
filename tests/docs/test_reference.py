"""The reference is complete: what is made from the code is on a page, all of it."""

from __future__ import annotations

import re

from django_durable.client import Client

from .blocks import ROOT

REFERENCE = ROOT / "docs" / "reference"


def test_every_part_of_the_client_has_its_place_on_the_page():
    shown = re.findall(r"\{generated\} methods ([\w.]+)", (REFERENCE / "client.md").read_text())

    assert {f"{base.__module__}.{base.__qualname__}" for base in Client.__bases__} <= set(shown)
    assert len(shown) == len(set(shown))


def test_every_page_of_the_reference_is_in_its_table_of_contents():
    listed = re.search(r"```\{toctree\}(.*?)```", (REFERENCE / "index.md").read_text(), re.DOTALL)

    assert listed is not None
    assert {page.stem for page in REFERENCE.glob("*.md")} - {"index"} <= set(listed[1].split())


def test_tests_that_the_documentation_names_are_there():
    found = 0
    for page in (ROOT / "docs").rglob("*.md"):
        text = page.read_text()
        for path in re.findall(r"`(tests/[\w/]+\.py)`", text):
            assert (ROOT / path).exists(), (page.name, path)
        for path, name in re.findall(r"`(tests/[\w/]+\.py)`: `(test_\w+)`", text):
            assert f"def {name}(" in (ROOT / path).read_text(), (page.name, name)
            found += 1
    assert found
