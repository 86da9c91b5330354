"""`manage.py durable_workers`: who works."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...client import WorkerRecord
from ...client.viewing import client
from ...engine.arguments import UNTAGGED
from .. import arguments, rendering, shapes
from ..exits import tells_errors

SILENT = timedelta(seconds=60)


class Command(BaseCommand):
    """See the module docstring."""

    help = "List the workers as of their last heartbeats; one that is silent for long has probably died."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--max-heartbeat-age",
            type=arguments.duration,
            default=SILENT,
            metavar="DURATION",
            help=f"After how long without a heartbeat a worker is called silent; by default {SILENT.seconds} s.",
        )
        parser.add_argument("--json", dest="as_json", action="store_true", help="Print JSON.")

    @tells_errors
    def handle(self, *, max_heartbeat_age: timedelta, as_json: bool, **options: Any) -> None:
        found = client.list_workers()
        if as_json:
            rendering.write_json(self.stdout, {"results": [shapes.worker(each) for each in found]})
            return
        now = datetime.now(UTC)
        titles = ("WORKER", "STATE", "HOST", ">PID", "TAGS", ">SLOTS", "STARTED", "HEARTBEAT")
        with rendering.table(self.stdout, titles, self.style) as table:
            for each in found:
                table.add(
                    rendering.printable(each.worker_id),
                    self._state(each, now - max_heartbeat_age),
                    rendering.printable(each.host),
                    str(each.pid),
                    rendering.one_line(tags_of(each)),
                    str(each.concurrency),
                    rendering.moment(each.started_at),
                    rendering.ago(each.heartbeat_at, now),
                )
        if not found:
            self.stderr.write("No worker runs. Start one with durable_worker.", style_func=str)

    def _state(self, worker: WorkerRecord, silent_before: datetime) -> rendering.Cell:
        if worker.heartbeat_at < silent_before:
            return "silent", self.style.ERROR
        return ("stopping", self.style.WARNING) if worker.stopping else ("working", self.style.SUCCESS)


def tags_of(worker: WorkerRecord) -> str:
    """Return what a worker serves, as `--tags` of durable_worker takes it."""
    tags = json.loads(worker.tags)
    if tags["any"]:
        return "*"
    names = [*([UNTAGGED] if tags["untagged"] else []), *tags["tags"]]
    return ",".join(names) or "none"
