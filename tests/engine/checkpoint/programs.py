"""Random programs: `async def`s in which anything may suspend, for running them both ways.

A program is text made from a seed. Its loops end, its names are bound or not as chance has it, and whatever it does it
notes, so two runs can be compared by their results, their errors and the order of their side effects.
"""

from __future__ import annotations

import linecache
import random
from collections.abc import Callable
from typing import Any

from .prelude import PRELUDE

NAMES = ("a", "b", "c", "d")
DEPTH = 2


class Programs:
    """Writes one program."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.lines: list[str] = []
        self.indent = 1
        self.loops = 0
        self.handling = False
        self.final = 0
        self.numbers = 0
        self.counting = False
        self.called = "tick"

    def pick(self, *options: Callable[..., Any] | str) -> Any:
        option = self.chance.choice(options)
        return option() if callable(option) else option

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def line(self, text: str) -> None:
        self.lines.append("    " * self.indent + text)

    def text(self) -> str:
        self.lines = []
        body = self._function("program", "x, y=3, *rest, key=4, **named")
        helpers = self._function("helper", "n")
        return f"{PRELUDE}\n{helpers}\n{body}"

    def _function(self, name: str, parameters: str) -> str:
        self.lines = [f"async def {name}({parameters}):"]
        self.line("a = 1; b = [1, 2, 3]; box = Box()" if self.chance.random() < 0.9 else "a = 1; box = Box()")
        if name == "program" and self.chance.random() < 0.5:
            self.line("c = lambda: (a, b)")
        if name == "helper":
            self._recursion()
        elif self.chance.random() < 0.3:
            self._counter()
        self.block(DEPTH if name == "program" else 1, size=6)
        self.line("return " + self.expression(2) + ", sorted(k for k in locals() if len(k) < 3)")
        self.called = name
        return "\n".join(self.lines)

    def _recursion(self) -> None:
        """Let the helper call itself, and let errors cross its frames or end in one of them."""
        self.line("if type(n) is int and 0 < n < 4:")
        self.indent += 1
        caught = self.chance.choice(("ValueError", "LookupError", "Failed", "Exception"))
        if kept := self.chance.random() < 0.5:
            self.line("try:")
            self.indent += 1
        self.line(f"b = [await helper(n - 1), {self.expression(1)}]")
        if self.chance.random() < 0.6:
            self.line(f"if n == {self.chance.randint(1, 3)}: raise {self._error()}")
        if kept:
            self.indent -= 1
            self.line(f"except {caught} as error: note(repr(error)); a = error")
            if self.chance.random() < 0.4:
                self.line(f"finally: note({self.expression(1)})")
        self.indent -= 1

    def _counter(self) -> None:
        """Define closures that share a variable, to be called whenever it comes."""
        self.line("total = 0")
        self.line("def more(by=1):")
        self.line("    nonlocal total")
        self.line("    total += by if isinstance(by, int) else 1")
        self.line("    return total")
        self.line("async def later(by):")
        self.line("    more(await tick(by))")
        self.line("    return total")
        self.counting = True

    def _error(self) -> str:
        e = self.expression(1)
        return self.chance.choice((f"ValueError({self.number()})", f"KeyError({e})", f"Failed({e}, what={e})"))

    # Expressions. `depth` says how far they may go on.

    def name(self) -> str:
        return self.chance.choice(("a", "b", "x", "y", "a", *NAMES))

    def expression(self, depth: int = 2) -> str:
        if depth <= 0 or self.chance.random() < 0.25:
            return self.pick(
                self.name, "1", "x", lambda: str(self.chance.randrange(5)), lambda: f"note({self.number()})", "'s'"
            )
        return self.pick(*self._expressions(depth))

    def bare(self) -> str:
        """Return an expression without quotes, which Python 3.11 does not take in an f-string."""
        return self.pick(self.name, lambda: f"await tick({self.name()})", lambda: f"note({self.number()})")

    def _expressions(self, depth: int) -> list[Callable[[], str]]:
        e = lambda: self.expression(depth - 1)  # noqa: E731
        return [
            lambda: f"await tick({e()})",
            lambda: f"(await tick({e()}))",
            lambda: f"({e()} + {e()})",
            lambda: f"({e()} and {e()})",
            lambda: f"({e()} or {e()} or {e()})",
            lambda: f"({e()} if {e()} else {e()})",
            lambda: f"(not {e()})",
            lambda: f"({e()} == {e()} != {e()})",
            lambda: f"({e()} is {self.pick('None', 'box')})",
            lambda: f"note_in({e()}, {e()}, k={e()})",
            lambda: f"note_in({e()}, *[{e()}], z={e()}, **{{'q': {e()}}})",
            lambda: f"[{e()}, *({e()},), {e()}]",
            lambda: f"({e()}, {e()})",
            lambda: f"{{'k': {e()}, **{{'l': {e()}}}}}",
            lambda: f"[{e()} for i in range(3) if {e()}]",
            lambda: f"{{i: {e()} for i in (1, 2)}}",
            lambda: f"[{e()} for i in [{self.bare()}] for j in [i, {self.bare()}]]",
            lambda: f"[({e()}, i) async for i in Countdown(2)]",
            lambda: f"f'{{{self.bare()}}}-{{{self.bare()}!r:>{{{self.bare()}}}}}{{{self.bare()}}}'",
            lambda: f"(d := {e()})",
            lambda: f"[{e()}, {e()}][{e()}]",
            lambda: f"box.items.setdefault({e()}, {e()})",
            lambda: f"str({e()})",
            lambda: f"(lambda q=1: (q, {self.name()}))()",
            lambda: f"'-'.join([str({e()}), str({e()})])",
            lambda: f"b[{e()}:{e()}]",
            lambda: f"await {self.called}({e()})",
            lambda: f"await tick(await tick({e()}))",
            lambda: f"list(note(({self.name()}, i)) for i in [{self.bare()}, {self.bare()}])",
            lambda: f"any(note(i) for i in await tick([{self.bare()}, 0, 1]))",
            lambda: f"[(w, {self.name()}) for i in (1, 2) if (w := {self.bare()}) or True]",
            lambda: f"[[{e()} for j in range(i)] for i in (1, await tick(2))]",
            lambda: f"{{{e()}: i for i in [{self.bare()}]}}",
            lambda: f"[*map(lambda v: (v, {self.name()}), [{e()}, await tick(2)])]",
            lambda: f"dict(zip('ab', [{e()}, {e()}]), c={e()})",
            lambda: f"(await tick(box)).items.get({e()}, {e()})",
            lambda: f"Box({e()}).value",
            *([lambda: f"more({e()})", lambda: f"await later({e()})"] * self.counting),
        ]

    # Statements.

    def block(self, depth: int, size: int = 3) -> None:
        self.indent += 1 if self.lines[-1].endswith(":") and len(self.lines) > 1 else 0
        for _ in range(self.chance.randint(1, size)):
            if self.chance.random() < 0.9:
                self.line("try:")
                self.indent += 1
                self.statement(depth)
                self.indent -= 1
                self.line("except Exception as error: note(repr(error))")
            else:
                self.statement(depth)

    def nested(self, header: str, depth: int, **inside: Any) -> None:
        self.line(header)
        before = {name: getattr(self, name) for name in inside}
        for name, value in inside.items():
            setattr(self, name, value)
        indent = self.indent
        self.indent += 1
        for _ in range(self.chance.randint(1, 3)):
            self.statement(depth - 1)
        self.indent = indent
        for name, value in before.items():
            setattr(self, name, value)

    def statement(self, depth: int) -> None:
        if depth <= 0 or self.chance.random() < 0.45:
            self.pick(*self._simple())
        else:
            self.pick(*self._compound(depth))

    def _simple(self) -> list[Callable[[], Any]]:
        e = self.expression
        options = [
            lambda: self.line(f"{self.name()} = {e(2)}"),
            lambda: self.line(f"{self.name()} = {e(2)}"),
            lambda: self.line(f"note({e(2)})"),
            lambda: self.line(f"await tick({e(1)})"),
            lambda: self.line(f"{self.name()} += {e(2)}"),
            lambda: self.line(f"box.value = {e(2)}"),
            lambda: self.line(f"box.value += {e(2)}"),
            lambda: self.line(f"box.items[{e(1)}] = {e(2)}"),
            lambda: self.line(f"b[{e(1)}] += {e(1)}"),
            lambda: self.line(f"b[await tick({e(1)})] += await tick({e(1)})"),
            lambda: self.line(f"b[{e(1)}:{e(1)}] += [{e(1)}]"),
            lambda: self.line(f"(await tick(box)).value += {e(1)}"),
            lambda: self.line(f"(await tick(box)).items[await tick({e(1)})] = await tick({e(1)})"),
            lambda: self.line(f"box.items[note({self.number()})] = box.value = b[0] = {e(1)}"),
            lambda: self.line(f"if {e(1)}: raise {self._error()}"),
            lambda: self.line(f"for i in [await tick(1)]: b += [i, {e(1)}]"),
            lambda: self.line(f"a, *b = {e(2)}, {e(1)}, {e(1)}"),
            lambda: self.line(f"a = box.items[{e(1)}] = {e(2)}"),
            lambda: self.line(f"(a, box.items[{e(2)}]) = {e(1)}, {e(1)}"),
            lambda: self.line(f"c: int = {e(2)}"),
            lambda: self.line(f"del {self.name()}"),
            lambda: self.line(f"del box.items[{e(1)}]"),
            lambda: self.line(f"assert {e(2)}, {e(1)}"),
            lambda: self.line(f"await broken(ValueError({self.number()}))"),
            lambda: self.line(f"if {e(1)}: raise KeyError({e(1)})"),
            lambda: self.line(f"if {e(1)}: raise OSError({self.number()}) from ValueError({e(1)})"),
            lambda: self.line(f"if {e(1)}: return {e(2)}"),
        ]
        if self.loops:
            options += [lambda: self.line(f"if {e(1)}: {self.chance.choice(('break', 'continue'))}")] * 3
        if self.handling:
            options += [lambda: self.line("raise" if self.chance.random() < 0.3 else f"if {e(1)}: raise")] * 2
        return options

    def _compound(self, depth: int) -> list[Callable[[], Any]]:
        return [
            lambda: self._if(depth),
            lambda: self._for(depth),
            lambda: self._for(depth),
            lambda: self._while(depth),
            lambda: self._try(depth),
            lambda: self._try(depth),
            lambda: self._try(depth),
            lambda: self._with(depth),
            lambda: self._match(depth),
            lambda: self._async_for(depth),
            lambda: self._define(depth),
            lambda: self._leaves(depth),
            lambda: self._leaves(depth),
            lambda: self._decorated(),
            lambda: self.nested(f"async with Keeper() as {self.name()}:", depth),
        ]

    def _leaves(self, depth: int) -> None:
        """Write a loop that is left, or goes on, through `finally` blocks that suspend, and what may replace that."""
        self.nested(f"for i in (1, 2, {self.expression(1)}):", depth, loops=self.loops + 1, handling=False)
        self.indent += 1
        self.line("try:")
        leaving = ("return note(i)", "break", "continue", "raise " + self._error(), f"return await tick({self.name()})")
        self.line(f"    if {self.expression(1)}: {self.chance.choice(leaving)}")
        self.line(f"    await tick({self.expression(1)})")
        self.line("finally:")
        self.line(f"    note(await tick({self.expression(1)}))")
        if self.chance.random() < 0.3:
            self.line(f"    if {self.expression(1)}: {self.chance.choice(leaving)}")
        self.indent -= 1
        self._else(depth)

    def _decorated(self) -> None:
        name = f"g{self.number()}"
        self.line("@twice")
        self.line(f"def {name}(p, *, q={self.expression(0)}): return note((p, q, {self.name()}))")
        self.line(f"await tick({name}({self.expression(1)}))")
        self.line(f"note({name}(2))")

    def _if(self, depth: int) -> None:
        self.nested(f"if {self.expression()}:", depth)
        if self.chance.random() < 0.4:
            self.nested(f"elif {self.expression()}:", depth)
        if self.chance.random() < 0.5:
            self.nested("else:", depth)

    def _for(self, depth: int) -> None:
        over = self.pick(
            "range(3)",
            "b",
            lambda: f"[{self.expression(1)}, {self.expression(1)}]",
            "enumerate('ab')",
            "zip('ab', range(3))",
            "{'p': 1, 'q': 2}.items()",
            "{1: 2, 2: 3}",
            "reversed([1, 2])",
            "map(str, [1, 2])",
            lambda: f"[1, {self.expression(2)}]",
        )
        target = self.pick(self.name, "i", "box.value", "i")
        self.nested(f"for {target} in {over}:", depth, loops=self.loops + 1, handling=False)
        self._else(depth)

    def _else(self, depth: int) -> None:
        if self.chance.random() < 0.4:
            self.nested("else:", depth)

    def _while(self, depth: int) -> None:
        count = f"n{self.number()}"
        self.line(f"{count} = 0")
        test = self.pick("True", lambda: self.expression(1), lambda: f"await tick({self.expression(1)})")
        self.line(f"while ({count} := {count} + 1) < 4 and {test}:")
        self.indent += 1
        self.loops, loops = self.loops + 1, self.loops
        for _ in range(self.chance.randint(1, 3)):
            self.statement(depth - 1)
        self.loops = loops
        self.indent -= 1
        self._else(depth)

    def _try(self, depth: int) -> None:
        final = self.chance.random() < 0.5
        self.nested("try:", depth)
        if not final or self.chance.random() < 0.7:
            for catches in self.chance.sample(
                [
                    *("ValueError as e", "(KeyError, TypeError)", "LookupError as d", "Exception as e", "NameError"),
                    "Failed as e",
                ],
                self.chance.randint(1, 2),
            ):
                self.nested(f"except {catches}:", depth, handling=True)
            if self.chance.random() < 0.4:
                self.nested("else:", depth)
        if final:
            self.nested("finally:", depth)

    def _with(self, depth: int) -> None:
        kind = self.chance.choice(("Manager", "AsyncManager"))
        prefix = "async with" if kind == "AsyncManager" else "with"
        item = f"{kind}({self.number()}, {self.expression(1)})"
        if self.chance.random() < 0.3:
            item += f" as {self.name()}, {kind}({self.number()}, {self.expression(1)})"
        elif self.chance.random() < 0.5:
            item += f" as {self.name()}"
        self.nested(f"{prefix} {item}:", depth)

    def _match(self, depth: int) -> None:
        subject = self.pick(self.expression, self.expression, lambda: f"await tick(Box({self.expression(1)}))", "box")
        self.line(f"match {subject}:")
        self.indent += 1
        for pattern in self.chance.sample(
            [
                *("[a, *_]", "1 | 2", "str() as d", "{'k': c}", "(a, b)", "None", "bool()"),
                *("Box(value=a)", "{'k': a, **d}", "[1, [a, b]] | [a, b]", "int(d)", "[*_, 'a' | 's' as d]"),
            ],
            self.chance.randint(1, 4),
        ):
            guard = f" if {self.expression(1)}" if self.chance.random() < 0.4 else ""
            self.nested(f"case {pattern}{guard}:", depth)
        if self.chance.random() < 0.5:
            self.nested("case _:", depth)
        self.indent -= 1

    def _async_for(self, depth: int) -> None:
        target = self.chance.choice(("i", self.name()))
        self.nested(f"async for {target} in Countdown({self.chance.randint(1, 3)}):", depth, loops=self.loops + 1)
        self._else(depth)

    def _define(self, depth: int) -> None:
        name = f"f{self.number()}"
        if self.chance.random() < 0.5:
            default = self.expression(0)
            self.line(f"def {name}(p={default}):")
            self.line(f"    return note((p, {self.name()}))")
            self.line(f"note({name}())")
            self.line(f"await tick(); {name}(3)")
            return
        declared = self.chance.random() < 0.5
        self.line(f"async def {name}(p):")
        self.indent += 1
        self.loops, loops = 0, self.loops
        self.handling, handling = False, self.handling
        if declared:
            self.line("nonlocal a")
            self.line(f"a = {self.expression(1)}")
        for _ in range(self.chance.randint(1, 2)):
            self.pick(*self._inside())
        self.line(f"return (p, {self.expression(1)})")
        self.loops, self.handling = loops, handling
        self.indent -= 1
        self.line(f"note(await {name}({self.expression(1)}))")

    def _inside(self) -> list[Callable[[], Any]]:
        return [
            lambda: self.line(f"note({self.expression(1)})"),
            lambda: self.line(f"await tick({self.expression(1)})"),
            lambda: self.line(f"for i in range(2): await tick(i); note({self.expression(1)})"),
        ]


def program(seed: int) -> tuple[str, Callable[..., Any], Callable[..., Any]]:
    """Return the text of a program and its two functions, which Python finds the source of."""
    text = Programs(seed).text()
    name = f"<program {seed}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    module: dict[str, Any] = {"__name__": f"program_{seed}"}
    exec(compile(text, name, "exec"), module)  # noqa: S102 - the text is this module's own
    return text, module["program"], module["helper"]
