"""The statement forms of Python in an `async def`, each suspended where it hurts.

Each form is a function; its docstring is what the documentation calls it. What the forms await are `tick`s, and what
they do besides they note.
"""

from __future__ import annotations

from . import blocks, exceptions, expressions, functions, loops, refusals, statements, values  # noqa: F401
from .common import DECLARED, REFUSED, UNSTORABLE, Form

__all__ = ["FORMS", "REFUSED", "UNSTORABLE", "Form"]

HEADINGS = (
    "Statements one after another",
    "Conditions and loops",
    "Exceptions",
    "`with` and `match`",
    "Expressions",
    "Functions",
    "Values that stay",
)

FORMS: dict[str, list[Form]] = {heading: DECLARED.pop(heading) for heading in HEADINGS}
"""Forms by heading, in the order of the documentation."""

assert not DECLARED
