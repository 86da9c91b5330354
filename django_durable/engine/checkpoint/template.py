"""The compiled form of one function's source: generated code, points, names.

The passes: refusals, preparing, lowering (`statements.py`), resuming (`resuming.py`), and here the assembly: what they
made becomes a coroutine function without parameters. Its variables are native locals, filled from the frame's state at
the start; variables that inner functions share, helpers, and the author's own free variables come through its closure.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import CodeType
from warnings import catch_warnings, simplefilter
from weakref import WeakValueDictionary

from . import refusals
from .helpers import HELPERS
from .preparing import Inner, Preparing, targets
from .resuming import Resuming
from .scopes import Scope, scope_of
from .source import Source, fingerprint
from .statements import Statements
from .syntax import AWAITED, CONTROL, RESUMING, assign, load, placed

PER_FUNCTION = (".adapted", ".inner", ".is_pause", ".pause", CONTROL)

FLATTENED = ("<listcomp>", "<setcomp>", "<dictcomp>")
"""Code that some versions of Python keep apart, and others put into the function around it."""

_templates: WeakValueDictionary[int, Template] = WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class PointInSource:
    """A place where the function may be suspended."""

    number: int
    line: int
    text: str


class Template:
    """Compiles at once, functions inside it too. Raises: NotCompilable.

    Attributes:
        name: "module:qualname" of the function, or what it was given.
        root: The template of the outermost function; only that one is found by its name.
        path: Leads from the root to here, through `inner`.
        inner: Templates of the `async def`s and awaiting comprehensions inside.
        closures: Code of all functions and lambdas inside, by keys that are the same on every version of Python.
    """

    def __init__(
        self,
        source: Source,
        name: str,
        qualname: str,
        free: Sequence[str],
        scope: Scope,
        *,
        pausing: bool,
        within: Template | None = None,
        path: tuple[int, ...] = (),
    ) -> None:
        tree = source.tree
        refusals.check(tree, source.refuse)
        self.source = source
        self.name = name
        self.qualname = qualname
        self.scope = scope
        self.free = frozenset(free)
        self.hash = fingerprint(tree)
        self.root: Template = within.root if within else self
        self.path = path
        self.inner: dict[int, Template] = {}
        self.bind = _binder(source)
        self._prepared = prepared = Preparing(tree)
        lowering = Statements(source.refuse, prepared.comprehend, pausing=pausing)
        resuming = Resuming(lowering.block(prepared.body))
        self.points = [PointInSource(i, point.lineno, point.text) for i, point in enumerate(resuming.points, 1)]
        self._held = [point.held for point in resuming.points]
        self.code = self._assembled(resuming.body)
        self.closures = dict(_closures(self.code))
        self.keys = {id(code): key for key, code in self.closures.items()}
        self.inner_codes: dict[int, Template] = {}
        for number, found in enumerate(prepared.inner):
            self._add(number, found, pausing)
        for code in self.closures.values():
            _templates[id(code)] = self

    def _add(self, number: int, found: Inner, pausing: bool) -> None:
        codes = (code for code in self.closures.values() if (code.co_name, code.co_firstlineno) == found.key)
        if (code := next(codes, None)) is None:
            return  # Python has left out what can never run.
        source = self.source.part(found.tree)
        scope = Scope((".0", ".result"), tuple(targets(found.tree))) if found.comprehension else scope_of(source)
        label = f"<{found.tree.name.strip('.0123456789')}>" if found.comprehension else found.tree.name
        name, qualname = f"{self.name}.<locals>.{label}", code.co_qualname.removesuffix(found.tree.name) + label
        template = Template(
            source, name, qualname, code.co_freevars, scope, pausing=pausing, within=self, path=(*self.path, number)
        )
        self.inner[number] = template
        self.inner_codes[id(code)] = template

    def kept_at(self, point: int) -> tuple[str, ...]:
        """Return the names whose values a frame keeps while it stands at a point."""
        return (*self.scope.plain, *self.held_at(point))

    def held_at(self, point: int) -> tuple[str, ...]:
        """Return the temporaries that are still to be read when the code goes on after a point."""
        return self._held[point - 1] if point else ()

    def _assembled(self, body: list[ast.stmt]) -> CodeType:
        tree = self.source.tree
        function = ast.AsyncFunctionDef(".code", _no_arguments(), [*self._prologue(), *body], [])
        function.type_params = []  # type: ignore[attr-defined]
        outer = {*HELPERS, *PER_FUNCTION, *self.scope.shared, *self.free}
        arguments = _no_arguments()
        arguments.args = [ast.arg(name) for name in sorted(outer)]
        # Where it calls itself by a global name, that name is not the factory's.
        own: list[ast.stmt] = [] if tree.name in outer else [ast.Global([tree.name])]
        factory = ast.FunctionDef(".factory", arguments, [*own, function], [])
        factory.type_params = []  # type: ignore[attr-defined]
        module = ast.Module([placed(factory, tree)], [])
        made = self._compiled(ast.fix_missing_locations(module))
        made = _code_in(_code_in(made, ".factory"), ".code")
        return _renamed(made, made.co_qualname, self.qualname).replace(co_name=tree.name)

    def _compiled(self, module: ast.Module) -> CodeType:
        with catch_warnings():
            simplefilter("ignore")  # Python has said it already, of the author's own code.
            try:
                code: CodeType = compile(module, self.source.file, "exec", dont_inherit=True)
            except (SyntaxError, RecursionError) as error:
                reason = getattr(error, "msg", None) or str(error)
                raise self.source.refuse(
                    self.source.tree, f"code that is nested too deeply ({reason})", "Move a part of it into a function"
                ) from error
        return code

    def _prologue(self) -> Iterator[ast.stmt]:
        nonlocals = {*self.scope.shared, *self._prepared.nonlocals}
        if nonlocals:
            yield ast.Nonlocal(sorted(nonlocals))
        if self._prepared.globals:
            yield ast.Global(sorted(self._prepared.globals))
        yield assign(RESUMING, ast.Attribute(load(CONTROL), "point", ast.Load()))
        yield assign(".values", ast.Attribute(load(CONTROL), "values", ast.Load()))
        yield from (_restored(name) for name in self.scope.plain)
        temporaries = dict.fromkeys(name for held in self._held for name in held)
        yield ast.If(load(RESUMING), [_restored(name) for name in (*temporaries, AWAITED)], [])
        yield assign(".values", ast.Constant(None))
        yield ast.Assign([ast.Attribute(load(CONTROL), "values", ast.Store())], ast.Constant(None))


def template_of(code: CodeType) -> Template | None:
    """Return the template whose generated code has made functions of this code, if any has."""
    return _templates.get(id(code))


def _restored(name: str) -> ast.stmt:
    found = ast.Compare(ast.Constant(name), [ast.In()], [load(".values")])
    return ast.If(found, [assign(name, ast.Subscript(load(".values"), ast.Constant(name), ast.Load()))], [])


def _no_arguments() -> ast.arguments:
    return ast.arguments([], [], None, [], [], None, [])


def _binder(source: Source) -> CodeType:
    """Return the code of a function that binds arguments as the author's function does, and returns them by name."""
    tree = source.tree
    bound = ast.arguments(
        [ast.arg(argument.arg) for argument in tree.args.posonlyargs],
        [ast.arg(argument.arg) for argument in tree.args.args],
        ast.arg(tree.args.vararg.arg) if tree.args.vararg else None,
        [ast.arg(argument.arg) for argument in tree.args.kwonlyargs],
        [ast.Constant(None) if default is not None else None for default in tree.args.kw_defaults],
        ast.arg(tree.args.kwarg.arg) if tree.args.kwarg else None,
        [ast.Constant(None) for _ in tree.args.defaults],
    )
    names = [part.arg for part in ast.walk(bound) if isinstance(part, ast.arg)]
    result = ast.Dict([ast.Constant(name) for name in names], [load(name) for name in names])
    function = ast.FunctionDef(tree.name, bound, [ast.Return(result)], [])
    function.type_params = []  # type: ignore[attr-defined]
    module = ast.Module([placed(function, tree)], [])
    return _code_in(compile(ast.fix_missing_locations(module), source.file, "exec", dont_inherit=True), tree.name)


def _code_in(code: CodeType, name: str) -> CodeType:
    return next(const for const in code.co_consts if isinstance(const, CodeType) and const.co_name == name)


def _renamed(code: CodeType, made: str, called: str) -> CodeType:
    """Give code, and what is defined in it, the names that the author knows it by."""
    consts = [
        _renamed(const, made, called)
        if isinstance(const, CodeType)
        else const.replace(made, called, 1)
        if isinstance(const, str) and const.startswith(made)  # What a class inside calls itself.
        else const
        for const in code.co_consts
    ]
    return code.replace(co_consts=tuple(consts), co_qualname=code.co_qualname.replace(made, called, 1))


def _closures(code: CodeType) -> Iterator[tuple[str, CodeType]]:
    seen: Counter[str] = Counter()
    for found in _functions(code):
        seen[found.co_name] += 1
        yield f"{found.co_name}#{seen[found.co_name]}", found


def _functions(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of functions inside, in order; those inside an `async def` are left to its own template."""
    for const in code.co_consts:
        if not isinstance(const, CodeType):
            continue
        is_class = not const.co_flags & 0x2  # CO_NEWLOCALS: set in functions only
        if const.co_name not in FLATTENED and not const.co_name.startswith("<generic") and not is_class:
            yield const
        if not const.co_flags & 0x80:  # CO_COROUTINE
            yield from _functions(const)
