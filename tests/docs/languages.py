"""Blocks that are not run: each is read by what reads its language, as far as that can be had here."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable

import yaml
from django.template import engines

from .blocks import Block
from .console import check_command


def check_html(text: str) -> None:
    """Compile a Django template."""
    engines["django"].from_string(text)


def check_yaml(text: str) -> None:
    """Read every document; where one has a command of manage.py, check that, too."""
    documents = list(yaml.safe_load_all(text))
    assert documents
    assert all(documents)
    for found in re.findall(r"manage\.py [^\n\"'\]]+", text):
        check_command(f"python {found}")
    for listed in re.findall(r"\[([^\]]*manage\.py[^\]]*)\]", text):
        check_command(" ".join(json.loads(f"[{listed}]")))


def check_ini(text: str) -> None:
    """Read a unit of systemd, or any other file of this kind, and check the commands that it starts."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    for section in parser.sections():
        for key, value in parser[section].items():
            if key.startswith("Exec") and "manage.py" in value:
                check_command(value)


def check_dockerfile(text: str) -> None:
    """Check that each instruction exists, and the commands of manage.py among them."""
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.partition(" ")
        assert name in {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "CMD", "ENTRYPOINT", "USER", "STOPSIGNAL"}, line
        if name in {"CMD", "ENTRYPOINT"}:
            rest = " ".join(json.loads(rest))
        if "manage.py" in rest:
            check_command(rest)


def check_nginx(text: str) -> None:
    """Check that statements end and blocks close."""
    assert text.count("{") == text.count("}")
    for line in text.splitlines():
        assert not line.strip() or line.strip()[-1] in "{};" or line.strip().startswith("#"), line


def check_javascript(text: str) -> None:
    """Let node read a module, where there is a node."""
    if node := shutil.which("node"):
        subprocess.run([node, "--check", "--input-type=module", "-"], input=text, text=True, check=True)


CHECKS: dict[str, Callable[[str], object]] = {
    "css": str,
    "dockerfile": check_dockerfile,
    "html": check_html,
    "http": str,
    "ini": check_ini,
    "javascript": check_javascript,
    "json": json.loads,
    "nginx": check_nginx,
    "text": str,  # What a program says; it is no code.
    "toml": tomllib.loads,
    "yaml": check_yaml,
}


def check(block: Block) -> None:
    """Check a block of a language that is not run. Raises: whatever its reader raises; KeyError: no such language."""
    CHECKS[block.language](block.text)
