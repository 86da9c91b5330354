"""Lowers statements, so that all that is left of awaits are points between them.

What is left is a small language: points, `if`, `while`, `for`, `with`, `try`, and statements that cannot suspend, which
stay as the author wrote them. `async for`, `async with` and `match` become those.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from .expressions import Emit, Expressions
from .refusals import Refuse
from .syntax import Point, assign, call, load, may_pause, negated, placed, store, suspends


class Statements(Expressions):
    """Lowers the statements of one function. `pausing`: exceptions of a kind are waited for instead of raised."""

    def __init__(
        self, refuse: Refuse, comprehend: Callable[[ast.expr], ast.AsyncFunctionDef], *, pausing: bool
    ) -> None:
        super().__init__(refuse, comprehend)
        self.pausing = pausing

    def block(self, statements: Sequence[ast.stmt], *first: ast.stmt) -> Emit:
        """Return a block lowered, after statements that are not lowered any more."""
        block: Emit = list(first)
        with self.into(block):
            held = list(self.held)
            for statement in statements:
                self.statement(statement)
                self.held = list(held)
        return block

    def statement(self, node: ast.stmt) -> None:
        if not self._may_suspend(node):
            self.out.append(node)
            return
        before = len(self.out)
        self._statement(node)
        for made in self.out[before:]:
            placed(made, node)

    def _may_suspend(self, node: ast.stmt) -> bool:
        if suspends(node):
            return True
        return self.pausing and may_pause(node)

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Expr(value=ast.Await(value=value)):
                text = ast.unparse(node)
                self.wait(self.lower(value), node, text=text)
            case ast.Expr() | ast.Return():
                assert node.value is not None
                node.value = self.lower(node.value)
                self.out.append(node)
            case ast.Assign():
                self._assign(node.targets, node.value)
            case ast.AugAssign():
                self._augment(node)
            case ast.Delete():
                for target in node.targets:
                    self.out.append(ast.Delete([self._target(target)]))
            case ast.Raise():
                self._raise(node)
            case ast.Assert():
                self._assert(node)
            case ast.If():
                test = self.lower(node.test)
                self.release(test)
                self.out.append(ast.If(test, self.block(node.body), self.block(node.orelse)))
            case ast.While():
                self._while(node)
            case ast.For():
                self._for(node)
            case ast.AsyncFor():
                self._async_for(node)
            case ast.With():
                self._with(node)
            case ast.AsyncWith():
                self._async_with(node)
            case ast.Try():
                self._try(node)
            case ast.Match():
                self._match(node)
            case _:
                raise self.refuse(node, f"an await in {type(node).__name__}", "Assign it to a variable before")

    # Assignments.

    def _assign(self, targets: Sequence[ast.expr], value: ast.expr) -> None:
        value = self.lower(value)
        if len(targets) == 1 and not suspends(targets[0]):
            self.out.append(ast.Assign(list(targets), value))
            return
        value = self.keep(value)
        for target in targets:
            self._assign_one(target, value)

    def _assign_one(self, target: ast.expr, value: ast.expr) -> None:
        if not suspends(target):
            self.out.append(ast.Assign([target], value))
        elif isinstance(target, ast.Tuple | ast.List):
            names = [self.new() for _ in target.elts]
            elements: list[ast.expr] = []
            for name, element in zip(names, target.elts, strict=True):
                starred = isinstance(element, ast.Starred)
                elements.append(ast.Starred(store(name), ast.Store()) if starred else store(name))
            self.out.append(ast.Assign([ast.Tuple(elements, ast.Store())], value))
            self.held.extend(names)
            for name, element in zip(names, target.elts, strict=True):
                self._assign_one(element.value if isinstance(element, ast.Starred) else element, load(name))
                self.held.remove(name)
        else:
            self.out.append(ast.Assign([self._target(target)], value))

    def _target(self, target: ast.expr) -> ast.expr:
        """Lower what a target is made of."""
        match target:
            case ast.Attribute():
                target.value = self.lower(target.value)
            case ast.Subscript():
                target.value, target.slice = self.lower_all([target.value, target.slice])
        return target

    def _augment(self, node: ast.AugAssign) -> None:
        target: ast.expr = node.target
        read: ast.expr
        match target:
            case ast.Attribute():
                owner = self.keep(self.lower(target.value))
                read = ast.Attribute(owner, target.attr, ast.Load())
                target = ast.Attribute(owner, target.attr, ast.Store())
            case ast.Subscript():
                parts = self.lower_all([target.value, target.slice])
                owner = self.keep(parts[0])
                index = self.keep(parts[1])
                read = ast.Subscript(owner, index, ast.Load())
                target = ast.Subscript(owner, index, ast.Store())
            case ast.Name():
                read = load(target.id)
        name = self.new()
        self.out.append(assign(name, read))
        with self.holding(name):
            value = self.lower(node.value)
        self.out.append(ast.AugAssign(store(name), node.op, value))
        self.out.append(ast.Assign([target], load(name)))

    # Leaving.

    def _raise(self, node: ast.Raise) -> None:
        values = [value for value in (node.exc, node.cause) if value is not None]
        lowered = self.lower_all(values)
        if not self.pausing or node.cause is not None:
            self.out.append(ast.Raise(*lowered))
            return
        error = self.keep(lowered[0])
        pause: Emit = []
        with self.into(pause):
            self.wait(call("pause", error), node)
        self.out.append(ast.If(call("is_pause", error), pause, [ast.Raise(error, None)]))

    def _assert(self, node: ast.Assert) -> None:
        block: Emit = []
        with self.into(block):
            test = self.lower(node.test)
            self.release(test)
            failed: Emit = []
            with self.into(failed):
                message = [self.lower(node.msg)] if node.msg is not None else []
                failed.append(ast.Raise(call("AssertionError", *message), None))
            block.append(ast.If(negated(test), failed, []))
        self.out.append(ast.If(ast.Name("__debug__", ast.Load()), block, []))

    # Loops.

    def _while(self, node: ast.While) -> None:
        if not suspends(node.test):
            self.out.append(ast.While(node.test, self.block(node.body), self.block(node.orelse)))
            return
        done = self.new("done")
        body: Emit = []
        self.out.append(assign(done, ast.Constant(False)))
        with self.holding(done):
            with self.into(body):
                test = self.lower(node.test)
                self.release(test)
            body.append(ast.If(test, self.block(node.body), [assign(done, ast.Constant(True))]))
        self.out.append(ast.While(negated(load(done)), body, self.block(node.orelse)))

    def _for(self, node: ast.For) -> None:
        iterator, item = self.new("iterator"), self.new("item")
        self.set(iterator, call("iter", self.lower(node.iter)))
        with self.holding(iterator):
            body = self._bound(node.target, item, node.body)
        self.out.append(ast.For(store(item), load(iterator), body, self.block(node.orelse)))

    def _bound(self, target: ast.expr | None, name: str, body: Sequence[ast.stmt]) -> Emit:
        """Return a block that first binds the author's target to what has come."""
        block: Emit = []
        if target is not None:
            with self.into(block), self.holding(name):
                self._assign_one(target, load(name))
        return self.block(body, *(placed(statement, target or body[0]) for statement in block))

    def _async_for(self, node: ast.AsyncFor) -> None:
        iterator, item, done = self.new("iterator"), self.new("item"), self.new("done")
        self.set(iterator, call("aiter", self.lower(node.iter)))
        self.out.append(assign(done, ast.Constant(False)))
        waiting: Emit = []
        with self.holding(iterator, done):
            with self.into(waiting):
                self.wait(call("anext", load(iterator)), node.iter, item)
            self._repair(waiting, iterator, done)
            body = self._bound(node.target, item, node.body)
        ended = ast.ExceptHandler(load(".StopAsyncIteration"), None, [assign(done, ast.Constant(True))])
        turn = ast.Try(waiting, [ended], body, [])
        self.out.append(ast.While(negated(load(done)), [turn], self.block(node.orelse)))

    def _repair(self, waiting: Emit, *names: str) -> None:
        for statement in waiting:
            if isinstance(statement, Point):
                statement.held = (*(name for name in statement.held if name not in names), *names)

    # Blocks.

    def _with(self, node: ast.With) -> None:
        item, *others = node.items
        body: list[ast.stmt] = [ast.With(others, node.body)] if others else node.body
        for statement in body:
            placed(statement, node)
        manager, value = self.new("manager"), self.new()
        self.set(manager, self.lower(item.context_expr))
        with self.holding(manager):
            block = self._bound(item.optional_vars, value, body)
        self.out.append(ast.With([ast.withitem(load(manager), store(value))], block))

    def _async_with(self, node: ast.AsyncWith) -> None:
        item, *others = node.items
        body: list[ast.stmt] = [ast.AsyncWith(others, node.body)] if others else node.body
        for statement in body:
            placed(statement, node)
        manager, value, well = self.new("manager"), self.new(), self.new("well")
        error, handled = self.new("error"), self.new()
        self.set(manager, call("async_manager", self.lower(item.context_expr)))
        self.held.append(manager)
        self._wait_holding(self.out, call("aenter", load(manager)), item.context_expr, value, manager)
        self.out.append(assign(well, ast.Constant(True)))
        with self.holding(well):
            block = self._bound(item.optional_vars, value, body)
            failed: Emit = [assign(well, ast.Constant(False))]
            with self.holding(error):
                leave = call("aexit", load(manager), load(error))
                self._wait_holding(failed, leave, item.context_expr, handled, manager, well, error)
            failed.append(ast.If(negated(load(handled)), [ast.Raise(None, None)], []))
            ended: Emit = []
            self._wait_holding(ended, call("aexit", load(manager)), item.context_expr, None, manager, well)
        self.held.remove(manager)
        handler = ast.ExceptHandler(load(".BaseException"), error, failed)
        inner: ast.stmt = ast.Try(block, [handler], [], [])
        self._finally([inner], [ast.If(load(well), ended, [])])

    def _wait_holding(self, out: Emit, value: ast.expr, at: ast.AST, target: str | None, *names: str) -> None:
        with self.into(out):
            self.wait(value, at, target)
            self._repair(out[-1:], *names)

    def _try(self, node: ast.Try) -> None:
        if node.finalbody and (node.handlers or node.orelse):
            inner = placed(ast.Try(node.body, node.handlers, node.orelse, []), node)
            node = placed(ast.Try([inner], [], [], node.finalbody), node)
        if node.finalbody:
            self._finally(self.block(node.body), node.finalbody, lower=True)
            return
        body = self.block(node.body)
        handlers = [self._handler(handler) for handler in node.handlers]
        self.out.append(ast.Try(body, handlers, self.block(node.orelse), []))

    def _finally(self, body: Emit, final: list[ast.stmt], *, lower: bool = False) -> None:
        """Emit a `try` with a `finally` that may suspend: it keeps how its body was left."""
        how, value, error = self.new("how"), self.new("returned"), self.new("raised")
        if lower:
            with self.holding(how, value, error):
                final = self.block(final)
        else:
            for statement in final:
                for part in ast.walk(statement):
                    if isinstance(part, Point):
                        part.held = (*part.held, how, value, error)
        left = ast.Try(body, [], [], final)
        left.completion = (how, value, error)  # type: ignore[attr-defined]
        self.out.append(left)

    def _handler(self, node: ast.ExceptHandler) -> ast.ExceptHandler:
        if node.type is not None and suspends(node.type):
            raise self.refuse(node.type, "an await in what an except clause catches", "Assign it to a variable before")
        error = self.new("error")
        body = node.body
        first: Emit = []
        if node.name is not None:
            first = [ast.Assign([store(node.name)], load(error))]
            forget: Emit = [assign(node.name, ast.Constant(None)), ast.Delete([ast.Name(node.name, ast.Del())])]
            body = [placed(ast.Try(node.body, [], [], forget), node)]
        with self.holding(error):
            block = self.block(body, *(placed(statement, node) for statement in first))
        return placed(ast.ExceptHandler(node.type or load(".BaseException"), error, block), node)

    def _match(self, node: ast.Match) -> None:
        """Emit the choice of a case, then its body. A case is tried after those before it have failed."""
        subject, chosen = self.new(), self.new("case")
        self.set(subject, self.lower(node.subject))
        self.out.append(assign(chosen, ast.Constant(0)))
        self.held.append(subject)
        plain = not any(case.guard is not None and suspends(case.guard) for case in node.cases)
        if plain:
            cases = [
                ast.match_case(case.pattern, case.guard, [assign(chosen, ast.Constant(i))])
                for i, case in enumerate(node.cases, 1)
            ]
            self.out.append(ast.Match(load(subject), cases))
        else:
            self.held.append(chosen)
            for i, case in enumerate(node.cases, 1):
                self._try_case(case, i, subject, chosen)
            self.held.remove(chosen)
        self.held.remove(subject)
        self._cases(list(enumerate(node.cases, 1)), chosen, self.out)

    def _try_case(self, case: ast.match_case, number: int, subject: str, chosen: str) -> None:
        matched: Emit = []
        with self.into(matched):
            test = self.lower(case.guard) if case.guard is not None else ast.Constant(True)
            self.release(test)
        matched.append(ast.If(test, [assign(chosen, ast.Constant(number))], []))
        flag = self.new("fits")
        attempt: Emit = [
            assign(flag, ast.Constant(False)),
            ast.Match(load(subject), [ast.match_case(case.pattern, None, [assign(flag, ast.Constant(True))])]),
            ast.If(load(flag), matched, []),
        ]
        self.out.append(ast.If(negated(load(chosen)), attempt, []))

    def _cases(self, cases: list[tuple[int, ast.match_case]], chosen: str, out: Emit) -> None:
        if not cases:
            return
        (number, case), *others = cases
        rest: Emit = []
        body = self.block(case.body)
        self._cases(others, chosen, rest)
        test = ast.Compare(load(chosen), [ast.Eq()], [ast.Constant(number)])
        out.append(ast.If(test, body, rest))
