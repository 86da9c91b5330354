"""The management commands, from their parsers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand, DjangoHelpFormatter

from . import markdown

COMMON = {action.dest for action in BaseCommand().create_parser("manage.py", "common")._actions}


def names() -> list[str]:
    """Return the names of this app's commands."""
    return sorted(name for name, app in get_commands().items() if app == "django_durable")


def command(*only: str) -> Iterator[str]:
    """Yield commands with their options, all of them if none is named. Options that every command has are left out."""
    for name in only or names():
        parser = load_command_class("django_durable", name).create_parser("manage.py", name)
        own = [action for action in parser._actions if action.dest not in COMMON]
        yield f"`manage.py {name}{arguments(own)}`"
        yield f":   {' '.join((parser.description or '').split())}"
        yield ""
        rows = [(spelled(action), helped(parser, action)) for action in own]
        if rows:
            yield from (f"    {line}" for line in markdown.grid(("argument", ""), rows))
            yield ""


def arguments(actions: list[argparse.Action]) -> str:
    """Return the positional arguments as a usage line has them."""
    shown = ""
    for action in actions:
        if not action.option_strings:
            name = action.metavar or action.dest
            shown += f" [{name} ...]" if action.nargs == "*" else f" [{name}]" if action.nargs == "?" else f" {name}"
            shown += " ..." if action.nargs == "+" else ""
    return shown


def spelled(action: argparse.Action) -> str:
    """Return how an argument is given."""
    choices = f"{{{','.join(map(str, action.choices))}}}" if action.choices else ""
    value = action.metavar or choices or action.dest.upper()
    if not action.option_strings:
        return f"`{action.metavar or choices or action.dest}`"
    return ", ".join(f"`{each}{'' if action.nargs == 0 else f' {value}'}`" for each in action.option_strings)


def helped(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """Return an argument's help with its values filled in."""
    formatter = DjangoHelpFormatter(parser.prog)
    return formatter._expand_help(action) if action.help else ""
