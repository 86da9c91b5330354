"""`manage.py durable_start`: starts an instance, and waits for it where asked to."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...client import StatusRecord
from ...client.starting import new_instance_id
from ...client.viewing import client
from ...engine.states import RuntimeStatus
from .. import arguments, following, rendering, shapes
from ..exits import TIMED_OUT, tells_errors


class Command(arguments.OwnVersionOption, BaseCommand):
    """See the module docstring."""

    help = (
        "Start an instance of an orchestration and print its id. With --wait, print what it returned as JSON, and end "
        "with 0 when it completed, 1 when it did not, and 3 when the time is over."
    )

    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("orchestration", help="Name of the orchestration, as durable_workflows lists it.")
        parser.add_argument(
            "-i",
            "--input",
            type=arguments.json_value,
            metavar="JSON|@FILE|-",
            help=f"An object by parameter, or the first argument. {arguments.JSON_TEXT}",
        )
        parser.add_argument(
            "--id",
            dest="instance_id",
            metavar="ID",
            help="Id of the instance, made up where none is given. The same id and input again start nothing.",
        )
        parser.add_argument("--version", help="Version of the orchestration; by default the latest.")
        when = parser.add_mutually_exclusive_group()
        when.add_argument(
            "--delay", type=arguments.duration, metavar="DURATION", help=f"Start it so much later. {arguments.DURATION}"
        )
        when.add_argument(
            "--at",
            dest="start_at",
            type=arguments.moment,
            metavar="MOMENT",
            help=f"Start it at this moment. {arguments.MOMENT}",
        )
        parser.add_argument(
            "-w",
            "--wait",
            nargs="?",
            type=arguments.duration,
            const=arguments.FOREVER,
            metavar="TIMEOUT",
            help=f"Wait until it has ended, at most so long where a time is given. {arguments.DURATION}",
        )
        parser.add_argument("--json", dest="as_json", action="store_true", help="Print the status as JSON.")

    @tells_errors
    def handle(
        self,
        *,
        orchestration: str,
        instance_id: str | None,
        version: str | None,
        start_at: datetime | None,
        delay: timedelta | None,
        wait: timedelta | None,
        as_json: bool,
        **options: Any,
    ) -> None:
        started = client.start_orchestration(
            instance_id or new_instance_id(orchestration),
            orchestration,
            options["input"],
            version=version,
            start_at=start_at,
            delay=delay,
        )
        id = started.instance_id
        if not started.created:
            self._note(f"{rendering.printable(id)} was there already, with the same input.")
        if wait is None:
            self._print(id, started.created, as_json)
            return
        if not as_json:
            self._note(f"Waiting for {rendering.printable(id)}.")
        record = self._ended(id, wait)
        if as_json:
            rendering.write_json(
                self.stdout, {"instance_id": id, "created": started.created, "instance": shapes.status(record)}
            )
        elif record.runtime_status is RuntimeStatus.COMPLETED:
            self.stdout.write(json.dumps(shapes.value(record.output)))
        if record.runtime_status is not RuntimeStatus.COMPLETED:
            raise CommandError(_why(record))

    def _print(self, id: str, created: bool, as_json: bool) -> None:
        if not as_json:
            self.stdout.write(id)
            return
        record = client.get_status_record(id)
        rendering.write_json(self.stdout, {"instance_id": id, "created": created, "instance": shapes.status(record)})

    def _ended(self, id: str, timeout: timedelta) -> StatusRecord:
        """Wait until an instance has ended. Raises: CommandError: the time is over."""
        seen: StatusRecord | None = None
        try:
            for record in following.follow(client, id, timeout=timeout):
                blocked = record.runtime_status is RuntimeStatus.BLOCKED
                if blocked and (seen is None or seen.runtime_status is not RuntimeStatus.BLOCKED):
                    self._note(f"It is Blocked: {rendering.one_line(str(record.blocked_reason))}")
                seen = record
        except following.TimeOver as over:
            raise CommandError(
                f"The time is over, and {id!r} is {over.record.runtime_status}. It goes on; look at it with "
                f"durable_inspect --watch, or see that a worker runs.",
                returncode=TIMED_OUT,
            ) from None
        assert seen is not None
        return seen

    def _note(self, text: str) -> None:
        """Write what is no result to stderr, and not as an error."""
        self.stderr.write(text, style_func=str)


def _why(record: StatusRecord) -> str:
    reason = f": {record.failure}" if record.failure else ""
    return f"Instance {record.instance_id!r} is {record.runtime_status}{reason}."
