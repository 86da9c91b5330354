"""`manage.py durable_cancel`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...client.viewing import client
from .. import arguments, steering
from ..exits import tells_errors
from ..steering import Operation


class Command(arguments.OwnVersionOption, BaseCommand):
    """Asks instances to end."""

    help = "Ask instances to end: their code is told where it waits, may clean up, and is then Canceled."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        steering.add_arguments(parser)
        parser.add_argument("--reason", help="Why. The code is given it, and the status shows it.")

    @tells_errors
    def handle(self, **options: Any) -> None:
        operation = Operation(
            "cancel", "canceled", steering.LIVE, lambda id: client.cancel_instance(id, options["reason"])
        )
        steering.carry_out(self, operation, options)
