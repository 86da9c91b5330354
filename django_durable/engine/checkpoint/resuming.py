"""Makes lowered code able to start anywhere: every block leads back to the point where the frame was suspended.

Theory of operation. `.resuming` is the number of that point until it is reached, then 0. Statements that cannot suspend
run only at 0. A compound statement is entered at 0, or when the point is inside it: then its test is not evaluated,
its iterator not asked, its manager not entered, its pattern not matched. To go back into an `except` block, the `try`
raises the error that was caught, so the block runs inside a real handler; to go back into a `finally`, the body is left
once more as it was: by its return, its break, its continue, its error, or its end.

A frame that is dropped (garbage collection, `close`) is no longer running, and none of its handlers, `finally` blocks
and managers runs: what a checkpoint holds goes on elsewhere.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from .syntax import AT, AWAITED, CONTROL, RESUMING, Point, assign, call, load, negated, placed, store

Span = tuple[int, int]

TAKEN = ".taken"
"""What a loop or a manager has just given."""

ENDED, RAISED, RETURNED, BROKE, CONTINUED = range(5)
"""How the body of a `try` was left, before its `finally`."""


class Resuming:
    """Rewrites the lowered body of one function. `points` are its points, the first has number 1."""

    def __init__(self, body: Sequence[ast.stmt]) -> None:
        self.points: list[Point] = []
        self._spans: dict[ast.AST, Span] = {}
        for statement in body:
            self._number(statement)
        self.body = self.block(body)

    def _number(self, node: ast.AST) -> None:
        first = len(self.points) + 1
        if isinstance(node, Point):
            self.points.append(node)
        for child in ast.iter_child_nodes(node):
            self._number(child)
        if len(self.points) >= first:
            self._spans[node] = (first, len(self.points))

    def _span(self, nodes: Sequence[ast.AST]) -> Span | None:
        spans = [self._spans[node] for node in nodes if node in self._spans]
        return (spans[0][0], spans[-1][1]) if spans else None

    def block(self, statements: Sequence[ast.stmt]) -> list[ast.stmt]:
        if self._span(statements) is None:
            return list(statements)
        block: list[ast.stmt] = []
        plain: list[ast.stmt] = []
        for statement in statements:
            span = self._span([statement])
            if span is None:
                plain.append(statement)
                continue
            if plain:
                block.append(placed(ast.If(negated(load(RESUMING)), plain, []), plain[0]))
                plain = []
            test = ast.BoolOp(ast.Or(), [negated(load(RESUMING)), _inside(span)])
            block.append(placed(ast.If(test, self._statement(statement), []), statement))
        if plain:
            block.append(placed(ast.If(negated(load(RESUMING)), plain, []), plain[0]))
        return block

    def _skipped(self, statements: Sequence[ast.stmt]) -> list[ast.stmt]:
        """Return a block that does nothing on the way back to a point after it."""
        if self._span(statements) is not None:
            return self.block(statements)
        return [placed(ast.If(negated(load(RESUMING)), list(statements), []), statements[0])]

    def _statement(self, node: ast.stmt) -> list[ast.stmt]:
        match node:
            case Point():
                made = self._point(node)
            case ast.If():
                test = self._choice(node.body, node.test)
                made = [ast.If(test, self.block(node.body), self.block(node.orelse))]
            case ast.While():
                test = self._choice(node.body, node.test)
                made = [ast.While(test, self.block(node.body), self.block(node.orelse))]
            case ast.For():
                made = self._for(node)
            case ast.With():
                made = self._with(node)
            case ast.Try():
                made = self._try(node)
            case _:
                raise AssertionError(f"{type(node).__name__} was not lowered.")
        return [placed(statement, node) for statement in made]

    def _choice(self, body: Sequence[ast.stmt], test: ast.expr) -> ast.expr:
        span = self._span(body)
        return ast.IfExp(load(RESUMING), _inside(span) if span else ast.Constant(False), test)

    def _point(self, node: Point) -> list[ast.stmt]:
        (number, _) = self._spans[node]
        awaits = ast.Await(load(".awaiting"))
        return [
            ast.If(
                load(RESUMING),
                [assign(".awaiting", call("standing", load(AWAITED)))],
                [ast.Assign([store(".awaiting"), store(AWAITED)], call("adapted", node.value))],
            ),
            assign(AT, ast.Constant(number)),
            assign(RESUMING, ast.Constant(0)),
            ast.Assign([node.target], awaits) if node.target is not None else ast.Expr(awaits),
        ]

    def _for(self, node: ast.For) -> list[ast.stmt]:
        span = self._span(node.body)
        # One turn without an item goes back into the body; no turn at all goes back into the else.
        again = call("again", node.iter) if span else _empty()
        if span and self._span(node.orelse):
            again = ast.IfExp(_inside(span), again, _empty())
        node.iter = ast.IfExp(load(RESUMING), again, node.iter)
        node.body, node.orelse = self._bound(node.target, node.body), self.block(node.orelse)
        node.target = store(TAKEN)
        return [node]

    def _with(self, node: ast.With) -> list[ast.stmt]:
        item = node.items[0]
        item.context_expr = call("scope", load(CONTROL), item.context_expr, load(RESUMING))
        node.body = self._bound(item.optional_vars, node.body)
        item.optional_vars = store(TAKEN)
        return [node]

    def _bound(self, target: ast.expr | None, body: Sequence[ast.stmt]) -> list[ast.stmt]:
        """Return a block that takes what has come, unless it goes back to a point that has it already."""
        assert target is not None
        return self.block([placed(ast.Assign([target], load(TAKEN)), body[0]), *body])

    def _try(self, node: ast.Try) -> list[ast.stmt]:
        completion: tuple[str, str, str] | None = getattr(node, "completion", None)
        final = self._span(node.finalbody)
        if completion is not None and final is not None:
            return self._suspending_finally(node, completion, final)
        again = [step for handler in node.handlers for step in self._again(handler)]
        body = [*again, *self._skipped(node.body)]
        handlers = [self._handler(handler) for handler in node.handlers]
        ending: list[ast.stmt] = []
        if node.finalbody:
            ending = [ast.If(_running(), self.block(node.finalbody), [])]
        return [ast.Try(body, handlers, self.block(node.orelse), ending)]

    def _again(self, handler: ast.ExceptHandler) -> list[ast.stmt]:
        """Return what leads back into a handler: raising what it had caught."""
        span = self._span(handler.body)
        if span is None:
            return []
        assert handler.name is not None
        return [placed(ast.If(_inside(span), _raise_again(handler.name), []), handler)]

    def _handler(self, node: ast.ExceptHandler) -> ast.ExceptHandler:
        assert node.type is not None
        span = self._span(node.body)
        again = ast.IfExp(_inside(span), load(".BaseException"), _empty()) if span else _empty()
        catches = ast.IfExp(_running(), ast.IfExp(load(RESUMING), again, node.type), _empty())
        first = [_context_again(node.name)] if span and node.name else []
        return placed(ast.ExceptHandler(catches, node.name, [*first, *self.block(node.body)]), node)

    def _suspending_finally(self, node: ast.Try, names: tuple[str, str, str], final: Span) -> list[ast.stmt]:
        how, value, error = names
        leaving = _Leaving(how, value)
        body = [each for statement in self._skipped(node.body) for each in leaving.rewrite(statement)]
        ways: list[tuple[int, list[ast.stmt]]] = [(RAISED, _raise_again(error))]
        ways += [(way, [statement]) for way, statement in leaving.ways().items()]
        again: list[ast.stmt] = [
            ast.If(ast.Compare(load(how), [ast.Eq()], [ast.Constant(way)]), steps, []) for way, steps in ways
        ]
        body = [ast.If(_inside(final), again, []), *body, assign(how, ast.Constant(ENDED))]
        caught: list[ast.stmt] = [
            _context_again(error),
            assign(how, ast.Constant(RAISED)),
            assign(error, load(".caught")),
            ast.Raise(None, None),
        ]
        handler = ast.ExceptHandler(load(".BaseException"), ".caught", caught)
        nothing = ast.Assign([store(value), store(error)], ast.Constant(None))
        return [
            ast.If(negated(_inside(final)), [nothing], []),
            ast.Try(body, [handler], [], [ast.If(_running(), self.block(node.finalbody), [])]),
        ]


class _Leaving(ast.NodeTransformer):
    """Lets the body of a `try` write down how it is left, wherever a return, a break or a continue leaves it."""

    def __init__(self, how: str, value: str) -> None:
        self._how = how
        self._value = value
        self._loops = 0
        self._used: dict[int, ast.stmt] = {}

    def ways(self) -> dict[int, ast.stmt]:
        """Return the ways in which the body may be left, and how to leave it so once more."""
        return self._used

    def rewrite(self, statement: ast.stmt) -> list[ast.stmt]:
        result = self.visit(statement)
        return result if isinstance(result, list) else [result]

    def visit_Return(self, node: ast.Return) -> list[ast.stmt]:
        leave = ast.Return(load(self._value))
        made = [
            assign(self._value, node.value or ast.Constant(None)),
            assign(self._how, ast.Constant(RETURNED)),
            leave,
        ]
        self._used[RETURNED] = ast.Return(load(self._value))
        return [placed(statement, node) for statement in made]

    def visit_Break(self, node: ast.Break) -> list[ast.stmt]:
        return self._jump(node, BROKE, ast.Break())

    def visit_Continue(self, node: ast.Continue) -> list[ast.stmt]:
        return self._jump(node, CONTINUED, ast.Continue())

    def _jump(self, node: ast.stmt, way: int, again: ast.stmt) -> list[ast.stmt]:
        if self._loops:
            return [node]
        self._used[way] = again
        return [placed(assign(self._how, ast.Constant(way)), node), node]

    def visit_For(self, node: ast.For | ast.While) -> ast.stmt:
        self._loops += 1
        node.body = [each for statement in node.body for each in self.rewrite(statement)]
        self._loops -= 1
        node.orelse = [each for statement in node.orelse for each in self.rewrite(statement)]
        return node

    visit_While = visit_For  # noqa: N815

    def visit_FunctionDef(self, node: ast.stmt) -> ast.stmt:
        return node

    visit_AsyncFunctionDef = visit_ClassDef = visit_FunctionDef  # noqa: N815


def _inside(span: Span) -> ast.expr:
    first, last = span
    if first == last:
        return ast.Compare(load(RESUMING), [ast.Eq()], [ast.Constant(first)])
    return ast.Compare(ast.Constant(first), [ast.LtE(), ast.LtE()], [load(RESUMING), ast.Constant(last)])


def _running() -> ast.expr:
    return ast.Attribute(load(CONTROL), "running", ast.Load())


def _empty() -> ast.expr:
    return ast.Tuple([], ast.Load())


def _raise_again(name: str) -> list[ast.stmt]:
    """Raise what had been caught. Raising changes its context, so that is set aside."""
    return [
        assign(".context", ast.Attribute(load(name), "__context__", ast.Load())),
        ast.Raise(load(name), None),
    ]


def _context_again(name: str) -> ast.stmt:
    context = ast.Attribute(load(name), "__context__", ast.Store())
    return ast.If(load(RESUMING), [ast.Assign([context], load(".context"))], [])
