"""`manage.py durable_enqueue`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...client.viewing import client
from .. import arguments, steering
from ..exits import tells_errors
from ..steering import Operation


class Command(arguments.OwnVersionOption, BaseCommand):
    """Puts a message into an event queue."""

    help = "Put a message at the end of an event queue of instances, where it stays until it is dequeued."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        steering.add_arguments(parser)
        parser.add_argument("queue", metavar="QUEUE", help="Name of the queue.")
        parser.add_argument(
            "-d",
            "--data",
            type=arguments.json_value,
            metavar="JSON|@FILE|-",
            help=f"What it carries. {arguments.JSON_TEXT}",
        )

    @tells_errors
    def handle(self, *, queue: str, data: Any, **options: Any) -> None:
        operation = Operation("tell", "told", steering.LIVE, lambda id: client.enqueue_event(id, queue, data))
        steering.carry_out(self, operation, options)
