"""Which instances a command is about: those it names, or those that a filter chooses."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser

from . import arguments


def add_arguments(parser: CommandParser) -> None:
    """Add ids and a filter."""
    parser.add_argument(
        "instance_ids", nargs="*", metavar="INSTANCE_ID", help="Which; - reads them from standard input, one a line."
    )
    group = arguments.add_filter(parser)
    group.add_argument("--all", dest="every", action="store_true", help="All of them that it can be done to.")
    group.add_argument("-n", "--limit", type=arguments.whole(1), help="At most so many, the newest.")


def named(options: Mapping[str, Any]) -> list[str]:
    """Return the ids that were given, each once; none where a filter chooses.

    Raises: CommandError: both were given, or neither.
    """
    given = list(options["instance_ids"])
    filtered = arguments.is_filtered(options) or options["every"]
    if given and filtered:
        raise CommandError("Give either instance ids or a filter.")
    if not given and not filtered:
        raise CommandError("Nothing is chosen. Give instance ids, a filter such as --status Running, or --all.")
    if given == ["-"]:
        given = [line.strip() for line in sys.stdin if line.strip()]
        if not given:
            raise CommandError("Standard input has no instance id.")
    return list(dict.fromkeys(given))
