"""Gets one function's tree ready: takes declarations out, marks functions inside, makes comprehensions functions."""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence
from dataclasses import dataclass

from .syntax import assign, call, load, parts, placed


@dataclass(frozen=True, slots=True)
class Inner:
    """An `async def` inside a function, or a comprehension that awaits and was made one. `shared`: as in `Scope`."""

    tree: ast.AsyncFunctionDef
    comprehension: bool = False

    @property
    def key(self) -> tuple[str, int]:
        """What finds its code among that of the function around it."""
        return self.tree.name, min([self.tree.lineno, *(each.lineno for each in self.tree.decorator_list)])


class Preparing(ast.NodeTransformer):
    """Changes the tree it is given."""

    def __init__(self, tree: ast.AsyncFunctionDef) -> None:
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()
        self.inner: list[Inner] = []
        self._depth = 0
        arguments = [*tree.args.posonlyargs, *tree.args.args]
        self._first = arguments[0].arg if arguments else None
        body = [self.visit(statement) for statement in tree.body]
        self.body: list[ast.stmt] = [statement for statement in body if statement is not None]

    def comprehend(self, value: ast.expr) -> ast.AsyncFunctionDef:
        """Return the definition of a function that does what a comprehension does, given its first iterator."""
        assert isinstance(value, ast.ListComp | ast.SetComp | ast.DictComp)
        name = f".{type(value).__name__.lower()}{len(self.inner)}"
        tree = placed(_as_function(value, name, self.globals), value)
        self.inner.append(Inner(copy.deepcopy(tree), comprehension=True))
        return self._marked(tree)

    def _marked(self, tree: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        mark = placed(call("inner", ast.Constant(len(self.inner) - 1)), tree)
        tree.decorator_list = [*tree.decorator_list, mark]
        return tree

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        self.inner.append(Inner(copy.deepcopy(node)))
        return self._marked(node)

    def _deeper(self, node: ast.AST) -> ast.AST:
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1
        return node

    visit_FunctionDef = visit_ClassDef = visit_Lambda = _deeper  # noqa: N815

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        if self._depth or (node.value is None and not isinstance(node.target, ast.Name)):
            return node
        # Annotations of locals are never evaluated, and a variable that is shared may have none.
        return placed(ast.Assign([node.target], node.value) if node.value else ast.Pass(), node)

    def visit_Global(self, node: ast.Global) -> ast.AST | None:
        if self._depth:
            return node
        self.globals.update(node.names)
        return placed(ast.Pass(), node)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.AST | None:
        if self._depth:
            return node
        self.nonlocals.update(node.names)
        return placed(ast.Pass(), node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if self._depth or node.args or node.keywords or not isinstance(node.func, ast.Name):
            return node
        if node.func.id in ("locals", "vars"):
            return placed(call("locals", node), node)
        if node.func.id == "super" and self._first is not None:
            node.args = [placed(load("__class__"), node), placed(load(self._first), node)]
        return node


def _as_function(
    value: ast.ListComp | ast.SetComp | ast.DictComp, name: str, declared_global: set[str]
) -> ast.AsyncFunctionDef:
    result = load(".result")
    empty: ast.expr
    body: list[ast.stmt]
    match value:
        case ast.ListComp():
            empty, body = ast.List([], ast.Load()), [ast.Expr(call("append", result, value.elt))]
        case ast.SetComp():
            empty, body = call("set"), [ast.Expr(call("add", result, value.elt))]
        case ast.DictComp():
            empty, body = ast.Dict([], []), [ast.Expr(call("put", result, value.key, value.value))]
    bound = sorted({part.target.id for part in parts(value) if isinstance(part, ast.NamedExpr)})
    value.generators[0].iter = load(".0")
    for generator in reversed(value.generators):
        for test in reversed(generator.ifs):
            body = [ast.If(test, body, [])]
        kind = ast.AsyncFor if generator.is_async else ast.For
        body = [kind(generator.target, generator.iter, body, [])]
    globals_ = [n for n in bound if n in declared_global]
    nonlocals = [n for n in bound if n not in declared_global]
    declared: list[ast.stmt] = [
        *([ast.Global(globals_)] if globals_ else []),
        *([ast.Nonlocal(nonlocals)] if nonlocals else []),
    ]
    arguments = ast.arguments([], [ast.arg(".0")], None, [], [], None, [])
    function = ast.AsyncFunctionDef(
        name, arguments, [*declared, assign(".result", empty), *body, ast.Return(result)], []
    )
    function.type_params = []  # type: ignore[attr-defined]
    return function


def targets(tree: ast.AsyncFunctionDef) -> Sequence[str]:
    """Return the names that a comprehension made a function binds."""
    found: set[str] = set()
    for part in ast.walk(tree):
        if isinstance(part, ast.For | ast.AsyncFor):
            found.update(
                n.id for n in ast.walk(part.target) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            )
    return sorted(found)
