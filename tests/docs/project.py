"""A project that a page makes: an empty folder in which its blocks are followed one after the other."""

from __future__ import annotations

import doctest
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

from tests.acceptance.stage import until

from . import languages
from .blocks import Block
from .console import CTRL_C, NOT_RUN, Command, check_command, commands_of

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
HERE = Path(__file__).parent
DEADLINE = 60.0
SERVES = re.compile(r"manage\.py (runserver|durable_worker(?! --once))|^daphne")
"""What runs in a terminal of its own until the page is through."""

SHELL = """
import doctest, sys, django
django.setup()
test = doctest.DocTestParser().get_doctest(sys.stdin.read(), {}, "the page", None, 0)
runner = doctest.DocTestRunner(verbose=False, optionflags=int(sys.argv[1]))
sys.exit(runner.run(test).failed and 1)
"""
"""What `manage.py shell` is to a reader: it types, and compares."""


class Project:
    """A folder, what runs in it, and the address at which the page's server is instead of port 8000."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.terminals: list[Terminal] = []

    def prepare(self) -> None:
        """Make a project `shop` with an app `orders`, for the pages that begin in a project that one has."""
        for line in ("django-admin startproject shop", "cd shop", "python manage.py startapp orders"):
            self.type(Command(line, ""))
        self.write("shop/settings.py", 'INSTALLED_APPS += ["orders"]\n')
        (self.folder / "orders" / "models.py").write_text((HERE / "orders" / "models.py").read_text())
        self.type(Command("python manage.py makemigrations orders", ""))

    def follow(self, block: Block) -> None:
        """Do what a block says."""
        text = block.text.replace("8000", str(self.port))
        if block.language == "console":
            for command in commands_of(text):
                self.type(command)
        elif block.file:
            self.write(block.file, text)
        elif block.language == "python":
            raise AssertionError(f"{block.place}: name the file in the first line, or show it in a shell.")
        else:
            languages.check(block)

    def write(self, name: str, text: str) -> None:
        """Add a block to the file that it names."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(f"\n{text}")

    def type(self, command: Command) -> None:
        """Type a command and compare what it shows with the page, if that shows anything."""
        program = command.line.split()[0]
        if program == "cd":
            self.folder /= command.line.split()[1]
        elif program == CTRL_C:
            self.terminals.pop().close()
        elif SERVES.search(command.line):
            self.terminals.append(Terminal(command, self.folder, self.environment(), self.port))
        elif program in NOT_RUN:
            check_command(command.line)
        elif command.line == "python manage.py shell":
            self.run([sys.executable, "-c", SHELL, str(FLAGS)], command.output, settings=True)
        else:
            shown = self.run(["bash", "-c", command.line], fails="CommandError" in command.output)
            if command.output.strip():
                right = doctest.OutputChecker().check_output(command.output, shown, FLAGS)
                assert right, f"$ {command.line}\nThe page shows:\n{command.output}\nThere came:\n{shown}"

    def run(self, line: list[str], given: str = "", *, settings: bool = False, fails: bool = False) -> str:
        """Run a command to its end and return what it wrote. It ends with 0, or with 1 where the page says so."""
        environment = self.environment()
        if settings:
            environment["DJANGO_SETTINGS_MODULE"] = f"{self.folder.name}.settings"
        done = subprocess.run(
            line,
            cwd=self.folder,
            env=environment,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == fails, f"{' '.join(line)[:200]}\n{done.stdout}"
        return done.stdout

    def environment(self) -> dict[str, str]:
        """Return what a reader's shell has: this environment's programs first, and nothing of the suite."""
        ours = ("DJANGO_SETTINGS_MODULE", "DATABASE_URL", "PYTEST", "DURABLE")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
        return {**kept, "PATH": path, "PYTHONUNBUFFERED": "1"}

    def close(self) -> None:
        """End what runs; a worker that is stopped ends well."""
        for each in self.terminals:
            each.close()


class Terminal:
    """A server or worker that runs beside the page, and what it has written."""

    def __init__(self, command: Command, folder: Path, environment: dict[str, str], port: int) -> None:
        self.command = command
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            ["bash", "-c", f"exec {command.line}"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        for line in command.output.splitlines():
            if line.strip():
                self.wait_for(line.strip())
        if "runserver" in command.line:
            until(lambda: listens(port), f"a server at port {port}")

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, shown: str) -> None:
        """Wait for a line; `...` in it stands for anything."""
        pattern = re.compile(".*".join(re.escape(part) for part in shown.split("...")))

        def found() -> bool:
            return any(pattern.search(line) for line in self.lines) or not self._reader.is_alive()

        with self._changed:
            self._changed.wait_for(found, DEADLINE)
        assert any(pattern.search(line) for line in self.lines), f"{self.command.line} never said {shown!r}:\n{self}"

    def close(self) -> None:
        """Stop it as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(DEADLINE)
        finally:
            self.process.kill()
            self._reader.join(DEADLINE)
            if self.process.stdout is not None:
                self.process.stdout.close()

    def __str__(self) -> str:
        return "".join(self.lines)


def listens(port: int) -> bool:
    """Tell whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
