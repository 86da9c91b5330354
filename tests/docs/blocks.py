"""The code blocks of a page, found by Sybil."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sybil import Document, Region, Sybil
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer
from sybil.parsers.myst.lexers import DirectiveInPercentCommentLexer

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
PAGES = [page for page in PAGES if "_build" not in page.parts]
_FILE = re.compile(r"(?:#|<!--|/\*|//) (?P<name>[\w./-]+\.\w+)(?: -->| \*/)?$")


@dataclass(frozen=True)
class Block:
    """One block. `hidden` ones are comments of the page: what a reader need not see.

    Attributes:
        file: What its first line, a comment, names: the file to which a reader adds it.
    """

    page: Path
    line: int
    language: str
    text: str
    hidden: bool

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def file(self) -> str | None:
        found = _FILE.match(self.text.split("\n", 1)[0])
        return found["name"] if found else None


def blocks_of(page: Path) -> list[Block]:
    """Return every code block of a page in order; what directives of Sphinx hold is none."""
    document = Sybil([_fences, _comments]).parse(page)
    return [
        Block(
            page,
            example.line + (0 if example.region.lexemes.get("directive") is None else 1),
            example.region.lexemes["arguments"],
            str(example.parsed),
            hidden="directive" in example.region.lexemes,
        )
        for example in document.examples()
    ]


def _fences(document: Document) -> Iterator[Region]:
    lexer = FencedCodeBlockLexer(language=r"[^\n]*", mapping={"language": "arguments", "source": "source"})
    for region in _parsed(lexer(document)):
        if not region.lexemes["arguments"].startswith("{"):
            yield region


def _comments(document: Document) -> Iterator[Region]:
    yield from _parsed(DirectiveInPercentCommentLexer(r"invisible-code-block", arguments=".+")(document))


def _parsed(regions: Iterable[Region]) -> Iterator[Region]:
    for region in regions:
        region.parsed = region.lexemes["source"]
        yield region


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))
