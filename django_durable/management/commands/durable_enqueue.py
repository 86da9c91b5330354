"""`manage.py durable_enqueue`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...client.viewing import client
from .. import arguments
from ..exits import tells_errors


class Command(BaseCommand):
    """Puts a message into an event queue."""

    help = "Put a message at the end of an event queue of an instance, where it stays until it is dequeued."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("instance_id", help="To which instance.")
        parser.add_argument("queue", help="Name of the queue.")
        parser.add_argument(
            "-d",
            "--data",
            type=arguments.json_value,
            metavar="JSON|@FILE|-",
            help=f"What it carries. {arguments.JSON_TEXT}",
        )

    @tells_errors
    def handle(self, *, instance_id: str, queue: str, data: Any, **options: Any) -> None:
        client.enqueue_event(instance_id, queue, data)
