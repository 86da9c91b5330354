"""Console blocks: what is typed, what is shown, and whether what is typed exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from django.core.management import get_commands, load_command_class
from django.core.management.base import CommandError

from .blocks import ROOT

NOT_RUN = {
    "pip": "installs over the network; the requirement is checked",
    "curl": "needs a server; tests of the API ask the same",
    "docker": "needs a daemon and images",
    "kubectl": "needs a cluster",
    "systemctl": "needs an init system",
    "journalctl": "needs an init system",
    "git": "needs a clone",
    "uvicorn": "is no dependency of the suite",
    "gunicorn": "is no dependency of the suite",
    "daphne": "serves until it is stopped; the browser tests run it",
    "psql": "needs the server of the project",
}
"""Programs in the pages that CI does not run, and why. Everything else that a page types is run or parsed."""


CTRL_C = "^C"
"""As a terminal shows it; ends what was started last."""


@dataclass(frozen=True)
class Command:
    """One command and the output that the page shows below it."""

    line: str
    output: str


def commands_of(text: str) -> Iterator[Command]:
    """Yield the commands of a console block. A backslash at the end of a line continues it, and `^C` is Ctrl-C."""
    text = re.sub(r"\\\n\s*", "", text)
    for part in re.split(r"^(?:\$ |(?=\^C$))", text, flags=re.MULTILINE):
        line, _, output = part.partition("\n")
        if line.strip():
            yield Command(line.split("  #")[0].strip(), output)


def check_command(line: str) -> None:
    """Check one command line. Raises: AssertionError, CommandError: nothing here would understand it."""
    for single in re.split(r" && | \|\| | \| ", line):
        words = [word for word in shlex.split(single) if not re.fullmatch(r"[A-Z_]+=\S*", word)]
        program = words[0].rpartition("/")[2]
        if any(word.endswith("manage.py") for word in words[:2]):
            check_management(words[words.index(next(word for word in words if word.endswith("manage.py"))) + 1 :])
        elif program == "make":
            check_target(words[1])
        elif program == "pip":
            check_requirement(words[2:])
        else:
            assert program in NOT_RUN or program in {
                "cd",
                "echo",
                "pytest",
                "ruff",
                "django-admin",
                "python",
                "export",
            }, f"{program} is not known: run it, or say in NOT_RUN why not."


def check_management(words: list[str]) -> None:
    """Parse a command of manage.py as it would be."""
    name, *arguments = words
    command = load_command_class(get_commands()[name], name) if name in get_commands() else None
    assert command is not None, f"There is no command {name!r}."
    try:
        command.create_parser("manage.py", name).parse_args(arguments)
    except (SystemExit, CommandError) as error:
        raise AssertionError(f"manage.py {' '.join(words)}: {error}") from error


def check_target(name: str) -> None:
    """See that make has a target."""
    assert re.search(rf"^{re.escape(name)}:", (ROOT / "Makefile").read_text(), re.MULTILINE), f"make {name}"


def check_requirement(words: list[str]) -> None:
    """See that what is installed of this project has the extras that are asked for."""
    from importlib.metadata import metadata

    for word in words:
        if found := re.fullmatch(r"django-durable-workflows(?:\[([\w,]+)\])?", word):
            extras = set(metadata("django-durable-workflows").get_all("Provides-Extra") or ())
            assert set(filter(None, (found[1] or "").split(","))) <= extras, word
