"""Takes expressions apart at their awaits.

Theory of operation. `Expressions.lower` returns an expression that awaits nothing and is to be evaluated once, right
away; what has to run before it is emitted as statements. Whatever Python evaluates before an await is emitted into a
temporary first, so the order of side effects is Python's. `held` lists the temporaries that are still to be read: what
a suspended frame keeps beside the author's own variables. A temporary leaves it with the expression that reads it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .syntax import Point, assign, call, is_ours, load, negated, placed, store, suspends

if TYPE_CHECKING:
    from .refusals import Refuse

Emit = list[ast.stmt]


class DoubleStarred(ast.Starred):
    """What stands after `**` in a call or a dict."""


class Expressions:
    """Lowers the expressions of one function."""

    def __init__(self, refuse: Refuse, comprehend: Callable[[ast.expr], ast.AsyncFunctionDef]) -> None:
        self.refuse = refuse
        self.comprehend = comprehend
        self.out: Emit = []
        self.held: list[str] = []
        self._numbers = 0

    # Temporaries.

    def new(self, what: str = "value") -> str:
        """Return a name that nothing else has."""
        self._numbers += 1
        return f".{what}{self._numbers}"

    def emit(self, statement: ast.stmt, at: ast.AST) -> None:
        self.out.append(placed(statement, at))

    @contextmanager
    def into(self, out: Emit) -> Iterator[None]:
        """Emit into another block. What is held before is held in it, and nothing more after it."""
        outer, held = self.out, list(self.held)
        self.out = out
        try:
            yield
        finally:
            self.out, self.held = outer, held

    @contextmanager
    def holding(self, *names: str) -> Iterator[None]:
        """Keep temporaries for the length of a block, whatever reads them."""
        self.held.extend(names)
        try:
            yield
        finally:
            for name in names:
                self.held.remove(name)

    def keep(self, value: ast.expr) -> ast.expr:
        """Evaluate now, into a temporary that is held until it is read. What cannot change is left as it is."""
        match value:
            case ast.Constant():
                return value
            case ast.Name(id=name) if is_ours(name):
                return value
            case DoubleStarred(value=inner):
                return DoubleStarred(self.keep(ast.Dict([None], [inner])), ast.Load())
            case ast.Starred(value=inner):
                return ast.Starred(self.keep(ast.List([ast.Starred(inner, ast.Load())], ast.Load())), ast.Load())
            case ast.FormattedValue():
                return ast.FormattedValue(self.keep(ast.JoinedStr([value])), -1)
            case ast.Slice():
                none = ast.Constant(None)
                value = call("slice", value.lower or none, value.upper or none, value.step or none)
        name = self.new()
        self.set(name, value)
        self.held.append(name)
        return load(name)

    def set(self, name: str, value: ast.expr) -> None:
        """Emit the assignment of a temporary, which reads those in `value`."""
        self.out.append(assign(name, value))
        self.release(value)

    def release(self, *values: ast.AST) -> None:
        """Let go of the temporaries that these expressions read."""
        for value in values:
            for part in ast.walk(value):
                if isinstance(part, ast.Name) and part.id in self.held:
                    self.held.remove(part.id)

    # Lowering.

    def lower(self, value: ast.expr) -> ast.expr:
        """Return `value` without awaits; see the module docstring."""
        if not suspends(value):
            return value
        before = len(self.out)
        lowered = self._lower(value)
        for statement in self.out[before:]:
            placed(statement, value)
        return placed(lowered, value)

    def lower_all(self, values: Sequence[ast.expr]) -> list[ast.expr]:
        """Lower expressions that Python evaluates one after the other."""
        last = max((i for i, value in enumerate(values) if suspends(value)), default=-1)
        lowered = []
        for i, value in enumerate(values):
            value = self.lower(value)
            lowered.append(self.keep(value) if i < last else value)
        return lowered

    def wait(self, value: ast.expr, at: ast.AST, target: str | None = None, text: str = "") -> None:
        """Emit a point that waits for `value`, which awaits nothing itself."""
        self.release(value)
        point = Point(store(target) if target else None, value)
        point.held = tuple(self.held)
        point.text = text
        self.emit(point, at)

    def _lower(self, value: ast.expr) -> ast.expr:
        match value:
            case ast.Await():
                return self._await(value)
            case ast.BoolOp():
                return self._boolean(value)
            case ast.IfExp():
                return self._conditional(value)
            case ast.NamedExpr():
                kept = self.keep(self.lower(value.value))
                self.out.append(ast.Assign([value.target], kept))
                return kept
            case ast.Compare():
                return self._comparison(value)
            case ast.Call():
                return self._call(value)
            case ast.Dict():
                return self._dict(value)
            case ast.FormattedValue():
                return self._formatted(value)
            case ast.ListComp() | ast.SetComp() | ast.DictComp():
                return self._comprehension(value)
            case ast.GeneratorExp():
                value.generators[0].iter = self.lower(value.generators[0].iter)
                return value
            case ast.Lambda():
                raise self.refuse(value, "an await in a default of a lambda", "Assign it to a variable before")
        return self._generic(value)

    def _generic(self, value: ast.expr) -> ast.expr:
        """Lower what evaluates its children in the order of its fields."""
        children = [child for child in ast.iter_child_nodes(value) if isinstance(child, ast.expr)]
        match value:
            case ast.BinOp() | ast.UnaryOp() | ast.Attribute() | ast.Subscript() | ast.Slice() | ast.Starred():
                pass
            case ast.Tuple() | ast.List() | ast.Set() | ast.JoinedStr():
                pass
            case _:
                raise self.refuse(value, f"an await in a {type(value).__name__}", "Assign it to a variable before")
        lowered = iter(self.lower_all(children))
        for name, field in ast.iter_fields(value):
            if isinstance(field, ast.expr):
                setattr(value, name, next(lowered))
            elif isinstance(field, list):
                setattr(value, name, [next(lowered) if isinstance(item, ast.expr) else item for item in field])
        return value

    def _await(self, value: ast.Await) -> ast.expr:
        name, text = self.new(), ast.unparse(value)
        self.wait(self.lower(value.value), value, name, text)
        self.held.append(name)
        return load(name)

    def _branch(self, target: str, value: ast.expr) -> Emit:
        """Return a block that evaluates into `target`."""
        block: Emit = []
        with self.into(block):
            lowered = self.lower(value)
            block.append(placed(assign(target, lowered), value))
        return block

    def _boolean(self, value: ast.BoolOp) -> ast.expr:
        target, block = self.new(), self.out
        for i, operand in enumerate(value.values):
            if i:
                test = load(target) if isinstance(value.op, ast.And) else negated(load(target))
                branch = ast.If(test, [], [])
                block.append(placed(branch, operand))
                block = branch.body
            block.extend(self._branch(target, operand))
        self.held.append(target)
        return load(target)

    def _conditional(self, value: ast.IfExp) -> ast.expr:
        target = self.new()
        test = self.lower(value.test)
        self.release(test)
        branch = ast.If(test, self._branch(target, value.body), self._branch(target, value.orelse))
        self.out.append(branch)
        self.held.append(target)
        return load(target)

    def _comparison(self, value: ast.Compare) -> ast.expr:
        if len(value.ops) == 1:
            value.left, value.comparators[0] = self.lower_all([value.left, value.comparators[0]])
            return value
        target, block, before = self.new(), self.out, list(self.held)
        left = self.keep(self.lower(value.left))
        with self.into(block):
            for i, (op, right) in enumerate(zip(value.ops, value.comparators, strict=True)):
                if i:
                    branch = ast.If(load(target), [], [])
                    self.emit(branch, right)
                    self.out = branch.body
                right = self.keep(self.lower(right))
                self.emit(assign(target, ast.Compare(left, [op], [right])), right)
                self.release(left)
                left = right
        self.held = [*before, target]
        return load(target)

    def _call(self, value: ast.Call) -> ast.expr:
        # In the order of the source: `f(*a, key=b, *c)` evaluates c before b, as Python does, for it groups them so.
        keywords = [_double_starred(k.value) if k.arg is None else k.value for k in value.keywords]
        lowered = self.lower_all([value.func, *value.args, *keywords])
        value.func, value.args = lowered[0], lowered[1 : 1 + len(value.args)]
        for keyword, argument in zip(value.keywords, lowered[1 + len(value.args) :], strict=True):
            keyword.value = argument.value if isinstance(argument, DoubleStarred) else argument
        return value

    def _dict(self, value: ast.Dict) -> ast.expr:
        entries: list[ast.expr] = []
        for key, item in zip(value.keys, value.values, strict=True):
            entries += [_double_starred(item)] if key is None else [key, item]
        lowered = iter(self.lower_all(entries))
        result = ast.Dict([], [])
        for part in lowered:
            starred = isinstance(part, DoubleStarred)
            result.keys.append(None if starred else part)
            result.values.append(part.value if isinstance(part, DoubleStarred) else next(lowered))
        return result

    def _formatted(self, value: ast.FormattedValue) -> ast.expr:
        if value.format_spec is None or not suspends(value.format_spec):
            value.value = self.lower(value.value)
            return value
        inner = self.lower(value.value)
        if value.conversion != -1:
            inner = call("convert", inner, ast.Constant(chr(value.conversion)))
        value.value, value.conversion = self.keep(inner), -1
        value.format_spec = self.lower(value.format_spec)
        return value

    def _comprehension(self, value: ast.ListComp | ast.SetComp | ast.DictComp) -> ast.expr:
        first, *others = value.generators
        results = [value.key, value.value] if isinstance(value, ast.DictComp) else [value.elt]
        inside = first.is_async or any(suspends(part) for part in (*results, *first.ifs, *others))
        first.iter = self.lower(first.iter)
        if not inside:
            return value
        iterator: ast.expr = call("aiter" if first.is_async else "iter", first.iter)
        iterator = self.keep(iterator)
        text, made, result = ast.unparse(value), self.comprehend(value), self.new()
        self.out.append(made)
        self.wait(ast.Call(load(made.name), [iterator], []), value, result, text)
        self.held.append(result)
        return load(result)


def _double_starred(value: ast.expr) -> DoubleStarred:
    return DoubleStarred(value, ast.Load())
