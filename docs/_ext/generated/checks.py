"""The system checks: what their module says of each, held against the ids that it uses."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

from django_durable import checks

from . import markdown


def table() -> Iterator[str]:
    """Yield each check. Raises: ValueError: the module's docstring and its code name different ids."""
    described = dict(re.findall(r"([EW]\d{3}) ([^;.]+)", inspect.cleandoc(checks.__doc__ or "")))
    used = set(re.findall(r'id="django_durable\.([EW]\d{3})"', inspect.getsource(checks)))
    if used != set(described):
        raise ValueError(f"django_durable.checks describes {sorted(described)} and uses {sorted(used)}.")
    rows = (
        (f"`django_durable.{name}`", "error" if name[0] == "E" else "warning", text) for name, text in described.items()
    )
    yield from markdown.grid(("id", "level", "finds"), rows)
