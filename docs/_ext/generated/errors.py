"""The exception tree, from the classes."""

from __future__ import annotations

from collections.abc import Iterator

import django_durable
from django_durable.engine.errors import DurableError

from . import markdown


def tree(error: type = DurableError, depth: int = 0) -> Iterator[str]:
    """Yield an error and those below it as a nested list."""
    others = [base.__name__ for base in error.__bases__ if not issubclass(base, DurableError) and depth]
    also = f" (also a `{others[0]}`)" if others else ""
    where = "" if error.__name__ in django_durable.__all__ else f" in `{error.__module__}`"
    yield f"{'  ' * depth}- **`{error.__name__}`**{also}{where}: {markdown.first_paragraph(error)}"
    for each in error.__subclasses__():
        if each.__module__ == DurableError.__module__:
            yield from tree(each, depth + 1)
