"""The `generated` directive: parts of the reference that are made from the code when the pages are built.

    ```{generated} settings
    ```

What follows the name goes to the function as arguments. Nothing of it is kept in a file, so nothing of it can be stale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from . import checks, commands, drawing, errors, methods, permissions, rest, states, tables

PARTS: dict[str, Callable[..., Iterable[str]]] = {
    "attributes": methods.attributes,
    "checks": checks.table,
    "command": commands.command,
    "counters": methods.counters,
    "errors": errors.tree,
    "functions": methods.functions,
    "methods": methods.listing,
    "models": tables.listing,
    "moves": states.moves,
    "permissions": permissions.table,
    "rest": rest.table,
    "settings": methods.settings,
    "statuses": states.statuses,
}


class Generated(SphinxDirective):
    """Puts in what a function of this package returns: lines of Markdown, or an SVG drawing."""

    required_arguments = 1
    optional_arguments = 10
    has_content = False
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # What it is made of is no file that Sphinx knows.
        name, *arguments = self.arguments
        return self.parse_text_to_nodes("\n".join(PARTS[name](*arguments)))


class Diagram(SphinxDirective):
    """Draws the statuses and the moves between them, as SVG in the page."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        return [nodes.raw("", drawing.lifecycle(), format="html")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("generated", Generated)
    app.add_directive("lifecycle", Diagram)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
