"""`manage.py durable_answer`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...client.viewing import client
from .. import arguments
from ..exits import tells_errors


class Command(BaseCommand):
    """Settles a promise."""

    help = "Answer a request, or settle a promise: the first who does wins."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("instance_id", help="Whose promise.")
        parser.add_argument("promise_id", help="Which one.")
        given = parser.add_mutually_exclusive_group()
        given.add_argument(
            "-d",
            "--data",
            type=arguments.json_value,
            metavar="JSON|@FILE|-",
            help=f"The answer. {arguments.JSON_TEXT}",
        )
        given.add_argument("--fail", metavar="MESSAGE", help="Fail it, with this message.")
        parser.add_argument("--by", default="", metavar="NAME", help="Who answers, for the record.")

    @tells_errors
    def handle(
        self, *, instance_id: str, promise_id: str, data: Any, fail: str | None, by: str, **options: Any
    ) -> None:
        if fail is None:
            client.complete_promise(instance_id, promise_id, data, by=by)
        else:
            client.fail_promise(instance_id, promise_id, fail, by=by)
