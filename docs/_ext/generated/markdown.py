"""Markdown from what the code says about itself."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in row) + " |"


def first_paragraph(thing: object) -> str:
    """Return the first paragraph of a docstring as one line. Raises: ValueError: there is none."""
    text = inspect.getdoc(thing)
    if not text:
        raise ValueError(f"{thing!r} has no docstring, and the reference shows it.")
    return " ".join(text.split("\n\n")[0].split())


def attribute_docs(cls: type) -> dict[str, str]:
    """Return the docstrings that stand below the annotated attributes of a class."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for declared, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(declared, ast.AnnAssign) and isinstance(declared.target, ast.Name):
            match below:
                case ast.Expr(ast.Constant(str() as text)):
                    found[declared.target.id] = inspect.cleandoc(text)
    return found


def signature(function: object) -> str:
    """Return a method's parameters as a caller writes them: without `self`, with types as short as they can be."""
    given = inspect.signature(function)  # type: ignore[arg-type]
    shown = [each for each in given.parameters.values() if each.name != "self"]
    text = str(given.replace(parameters=shown, return_annotation=inspect.Signature.empty))
    return re.sub(r"'([^']*)'", r"\1", text) if "'" in text else text
