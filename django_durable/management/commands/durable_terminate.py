"""`manage.py durable_terminate`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...client.viewing import client
from ...engine.states import Move, sources
from .. import arguments, steering
from ..exits import tells_errors
from ..steering import Operation


class Command(arguments.OwnVersionOption, BaseCommand):
    """Ends instances at once."""

    help = "End instances at once, with all their descendants, without asking their code; durable_cancel asks it."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        steering.add_arguments(parser)
        parser.add_argument("--reason", help="Why. The status shows it.")

    @tells_errors
    def handle(self, **options: Any) -> None:
        operation = Operation(
            "terminate",
            "terminated",
            sources(Move.TERMINATE),
            lambda id: client.terminate_instance(id, options["reason"]),
        )
        steering.carry_out(self, operation, options)
