"""The statement forms of Python in an `async def`, each suspended where it hurts.

Each form is a function; its docstring is what the documentation calls it. What the forms await are `tick`s, and what
they do besides they note.
"""

from __future__ import annotations

from . import blocks, exceptions, expressions, functions, loops, refusals, statements, values
from .common import FORMS, REFUSED, UNSTORABLE, Form

__all__ = ["FORMS", "REFUSED", "UNSTORABLE", "Form"]

MODULES = (statements, loops, exceptions, blocks, expressions, functions, values, refusals)
"""In the order of the documentation."""
