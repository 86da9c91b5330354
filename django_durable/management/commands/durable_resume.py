"""`manage.py durable_resume`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...client.viewing import client
from ...engine.states import Move, sources
from .. import arguments, steering
from ..exits import tells_errors
from ..steering import Operation


class Command(arguments.OwnVersionOption, BaseCommand):
    """Lets instances go on."""

    help = "Let suspended and blocked instances go on from where they were."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        steering.add_arguments(parser)

    @tells_errors
    def handle(self, **options: Any) -> None:
        operation = Operation("resume", "resumed", sources(Move.RESUME), client.resume_instance)
        steering.carry_out(self, operation, options)
