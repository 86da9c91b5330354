"""`manage.py durable_retry`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...client.viewing import client
from ...engine.states import Move, RuntimeStatus, sources
from .. import arguments, steering
from ..exits import tells_errors
from ..steering import Operation


class Command(arguments.OwnVersionOption, BaseCommand):
    """Lets what ended badly go on."""

    help = (
        "Let instances that ended badly go on from their last good point, as a new execution: what had completed is "
        "not run again, what had failed is. A filter chooses those that Failed, unless it names other statuses."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        steering.add_arguments(parser)
        parser.add_argument(
            "--from-event",
            type=arguments.whole(1),
            metavar="SEQ",
            help="Go back to this event of the one instance that is named; 1 begins anew.",
        )

    @tells_errors
    def handle(self, *, from_event: int | None, **options: Any) -> None:
        if from_event is not None and len(options["instance_ids"]) != 1:
            raise CommandError("--from-event is for one instance, named by its id.")
        operation = Operation(
            "retry",
            "retried",
            sources(Move.RETRY),
            lambda id: client.retry_instance(id, from_event=from_event),
            chosen=frozenset({RuntimeStatus.FAILED}),
            roots_only=True,
        )
        steering.carry_out(self, operation, options)
