"""`manage.py durable_event`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...client.viewing import client
from .. import arguments
from ..exits import tells_errors


class Command(BaseCommand):
    """Raises an external event."""

    help = "Raise an external event: it goes to the oldest wait for its name, or is kept for the next one."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("instance_id", help="To which instance.")
        parser.add_argument("name", help="Name of the event.")
        parser.add_argument(
            "-d",
            "--data",
            type=arguments.json_value,
            metavar="JSON|@FILE|-",
            help=f"What it carries. {arguments.JSON_TEXT}",
        )

    @tells_errors
    def handle(self, *, instance_id: str, name: str, data: Any, **options: Any) -> None:
        client.raise_event(instance_id, name, data)
