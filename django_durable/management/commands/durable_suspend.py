"""`manage.py durable_suspend`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...client.viewing import client
from ...engine.states import Move, sources
from .. import arguments, steering
from ..exits import tells_errors
from ..steering import Operation


class Command(arguments.OwnVersionOption, BaseCommand):
    """Stops running instances until they are resumed."""

    help = "Stop running instances until they are resumed; what they are sent meanwhile is kept."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        steering.add_arguments(parser)

    @tells_errors
    def handle(self, **options: Any) -> None:
        operation = Operation("suspend", "suspended", sources(Move.SUSPEND), client.suspend_instance)
        steering.carry_out(self, operation, options)
