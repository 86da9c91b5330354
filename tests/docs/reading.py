"""Runs a page's Python as its reader would have it in a project, beside a real worker."""

from __future__ import annotations

import doctest
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from unittest.mock import patch

from django_durable.registry import default
from django_durable.store.records import TagFilter
from django_durable.worker.worker import Worker

from . import languages, orders
from .blocks import Block
from .console import check_command, commands_of

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Reading:
    """One page being read.

    A block whose first line names a file is code of that module, which the blocks after it may import. Any other is run
    as in a shell.
    """

    def __init__(self) -> None:
        self.modules: dict[str, ModuleType] = {}
        self.shell = ModuleType("__main__")
        self.worker: Worker | None = None

    def read(self, block: Block) -> None:
        """Run or check a block."""
        match block.language:
            case "python" if block.file and block.file.endswith("settings.py"):
                self.run(block, ModuleType("settings"))
            case "python" if block.file:
                self.run(block, self.module(block.file))
            case "python":
                self.start_worker()
                self.run(block, self.shell)
            case "pycon":
                self.start_worker()
                self.converse(block)
            case "console":
                for command in commands_of(block.text):
                    check_command(command.line)
            case _:
                languages.check(block)

    def run(self, block: Block, module: ModuleType) -> None:
        """Execute a block. Its lines are those of the page, for tracebacks and for `inspect`."""
        code = compile("\n" * block.line + block.text, str(block.page), "exec", dont_inherit=True)
        if module.__name__ == "settings":
            module.__dict__.update(INSTALLED_APPS=[], MIDDLEWARE=[], DATABASES={"default": {}})
        exec(code, module.__dict__)  # noqa: S102 - the code is that of the pages

    def module(self, file: str) -> ModuleType:
        """Return the module of a file, a new one the first time."""
        name = file.removesuffix(".py").replace("/", ".")
        if name not in self.modules:
            self.modules[name] = sys.modules[name] = ModuleType(name)
            parent, _, leaf = name.rpartition(".")
            if parent in sys.modules:
                setattr(sys.modules[parent], leaf, self.modules[name])
        return self.modules[name]

    def converse(self, block: Block) -> None:
        """Type what follows the prompts, and compare what it shows."""
        test = doctest.DocTestParser().get_doctest(
            block.text, self.shell.__dict__, block.place, str(block.page), block.line
        )
        test.globs = self.shell.__dict__
        shown: list[str] = []
        runner = doctest.DocTestRunner(verbose=False, optionflags=FLAGS)
        runner.run(test, out=shown.append, clear_globs=False)
        assert not runner.failures, "".join(shown)

    def start_worker(self) -> None:
        """Start a worker when the first thing is run that may need one."""
        if self.worker is None:
            self.worker = Worker(tags=TagFilter.ANY)
            self.worker.start()

    def close(self) -> None:
        """Stop the worker and forget the modules."""
        if self.worker is not None:
            self.worker.stop()
        for name in self.modules:
            sys.modules.pop(name, None)


@contextmanager
def app_of_the_pages() -> Iterator[None]:
    """Let `orders` be the app in `tests/docs/orders`, without the modules that a page made of it."""
    from .orders import models

    names = {"orders": orders, "orders.models": models}
    sys.modules.update(names)
    try:
        yield
    finally:
        for name in [each for each in sys.modules if each.partition(".")[0] == "orders"]:
            del sys.modules[name]
        for leaf in set(vars(orders)) - {"models"}:
            if not leaf.startswith("__"):
                with suppress(AttributeError):
                    delattr(orders, leaf)


@contextmanager
def registry_as_it_was() -> Iterator[None]:
    """Forget afterwards what pages register."""
    with patch.multiple(
        default,
        _orchestrations={name: dict(versions) for name, versions in default._orchestrations.items()},
        _latest=dict(default._latest),
        _activities=dict(default._activities),
        _by_function=dict(default._by_function),
    ):
        yield
