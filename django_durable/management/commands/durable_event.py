"""`manage.py durable_event`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...client.viewing import client
from .. import arguments, steering
from ..exits import tells_errors
from ..steering import Operation


class Command(arguments.OwnVersionOption, BaseCommand):
    """Raises an external event."""

    help = "Raise an external event: it goes to the oldest wait for its name, or is kept for the next one."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        steering.add_arguments(parser)
        parser.add_argument("name", metavar="NAME", help="Name of the event.")
        parser.add_argument(
            "-d",
            "--data",
            type=arguments.json_value,
            metavar="JSON|@FILE|-",
            help=f"What it carries. {arguments.JSON_TEXT}",
        )

    @tells_errors
    def handle(self, *, name: str, data: Any, **options: Any) -> None:
        operation = Operation("tell", "told", steering.LIVE, lambda id: client.raise_event(id, name, data))
        steering.carry_out(self, operation, options)
