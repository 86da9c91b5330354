"""`manage.py durable_fork`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...client.viewing import client
from .. import arguments
from ..exits import tells_errors


class Command(BaseCommand):
    """Starts an instance from a point of another one's history."""

    help = (
        "Start a new instance that goes on from a point of another one's history, whatever that one was or does, and "
        "print its id."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("instance_id", help="Whose history.")
        parser.add_argument("new_instance_id", help="Id of the new instance.")
        parser.add_argument(
            "-e", "--execution", type=arguments.whole(1), metavar="NUMBER", help="By default the current one."
        )
        parser.add_argument(
            "--from-event",
            type=arguments.whole(1),
            metavar="SEQ",
            help="It goes on from before this event; by default from the last good point of what ended badly.",
        )

    @tells_errors
    def handle(
        self,
        *,
        instance_id: str,
        new_instance_id: str,
        execution: int | None,
        from_event: int | None,
        **options: Any,
    ) -> None:
        client.fork_instance(instance_id, new_instance_id, execution=execution, from_event=from_event)
        self.stdout.write(new_instance_id)
