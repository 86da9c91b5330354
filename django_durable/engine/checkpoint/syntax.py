"""How generated code is spelled: names that no author can write, and short makers of syntax nodes.

Names of the compiler start with a dot. Python compiles them from a tree, and no source can spell them, so nothing of
the author's is ever shadowed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import TypeVar

Node = TypeVar("Node", bound=ast.AST)

AT = ".at"
"""Number of the point at which the frame was last suspended."""

RESUMING = ".resuming"
"""Number of the point to go back to; 0 as soon as it is reached."""

AWAITED = ".awaited"
"""What the frame waits for, as the author's code made it."""

CONTROL = ".control"
"""The frame's `Control`."""


class Point(ast.stmt):
    """A place where the code may be suspended: `target = await value`. `held` are the temporaries read after it."""

    _fields = ("target", "value")

    def __init__(self, target: ast.Name | None, value: ast.expr, held: tuple[str, ...] = (), text: str = "") -> None:
        super().__init__()
        self.target = target
        self.value = value
        self.held = held
        self.text = text


def is_ours(name: str) -> bool:
    """Whether the compiler made this name."""
    return name.startswith(".")


def load(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def store(name: str) -> ast.Name:
    return ast.Name(name, ast.Store())


def assign(name: str, value: ast.expr) -> ast.Assign:
    return ast.Assign([store(name)], value)


def call(helper: str, *arguments: ast.expr) -> ast.Call:
    """Return a call of a helper, named without its dot."""
    return ast.Call(load(f".{helper}"), list(arguments), [])


def negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def parts(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what belongs to the same function as `node`: all below it, but not the bodies of functions and classes.

    What a definition evaluates in the function it stands in is a part: decorators, defaults, bases, and the first
    iterable of a comprehension. Annotations are not, most of them are never evaluated.
    """
    yield node
    for child in own_children(node):
        yield from parts(child)


def own_children(node: ast.AST) -> Sequence[ast.AST]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return [*node.decorator_list, *_defaults(node.args)]
        case ast.Lambda():
            return _defaults(node.args)
        case ast.ClassDef():
            return [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]
        case ast.GeneratorExp():
            return [node.generators[0].iter]
        case ast.AnnAssign():
            return [node.target, node.value] if node.value else [node.target]
    return list(ast.iter_child_nodes(node))


def _defaults(arguments: ast.arguments) -> list[ast.expr]:
    return [*arguments.defaults, *(default for default in arguments.kw_defaults if default is not None)]


def suspends(node: ast.AST) -> bool:
    """Whether running this, in the function it stands in, may suspend, as the author wrote it.

    The answer is kept with the node: what is lowered of it later does not change it.
    """
    known: bool | None = getattr(node, "suspends", None)
    if known is None:
        known = isinstance(node, (ast.Await, ast.AsyncFor, ast.AsyncWith, Point)) or (
            isinstance(node, ast.comprehension) and bool(node.is_async)
        )
        for child in own_children(node):
            known = suspends(child) or known
        node.suspends = known  # type: ignore[attr-defined]
    return known


def may_pause(node: ast.AST) -> bool:
    """Whether running this may raise what is waited for instead; in a `try` with `except*`, it is not."""
    if isinstance(node, ast.Raise):
        return node.exc is not None
    return not isinstance(node, ast.TryStar) and any(may_pause(child) for child in own_children(node))


def placed(node: Node, at: ast.AST) -> Node:
    """Give a made node, and what is made below it, the place in the source of `at`. What has a place keeps it."""
    if "lineno" in node._attributes:
        if hasattr(node, "lineno"):
            return node
        ast.copy_location(node, at)
        if not hasattr(node, "lineno"):
            node.lineno, node.col_offset = 1, 0  # type: ignore[attr-defined]
    for part in ast.iter_child_nodes(node):
        placed(part, at)
    return node
