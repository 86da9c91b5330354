"""`manage.py durable_inspect`: one instance, once or for as long as it runs."""

from __future__ import annotations

import io
import shutil
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper

from ...client import StatusRecord
from ...client.viewing import client
from ...engine.states import RuntimeStatus
from .. import arguments, following, inspection, rendering, shapes
from ..exits import tells_errors

TICK = timedelta(seconds=1)
"""How often a terminal is redrawn where nothing has changed but the time."""

HOME, END_OF_LINE, END_OF_SCREEN, CLEAR = "\x1b[H", "\x1b[K", "\x1b[J", "\x1b[2J"
CUT_LINES, WRAP_LINES = "\x1b[?7l", "\x1b[?7h"


class Command(BaseCommand):
    """See the module docstring."""

    help = (
        "Show an instance: its status, what it waits for, and a timeline of what took time. With --watch, show it "
        "until it has ended, and end with 0 when it completed and 1 when it did not."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("instance_id", help="Which instance.")
        parser.add_argument(
            "-e", "--execution", type=arguments.whole(1), metavar="NUMBER", help="By default the current one."
        )
        parser.add_argument("--history", action="store_true", help="Also its events.")
        parser.add_argument("--tree", action="store_true", help="Also its descendants.")
        parser.add_argument("--full", action="store_true", help="Do not cut payloads; show the traceback of errors.")
        parser.add_argument(
            "-w",
            "--watch",
            action="store_true",
            help="Go on until it has ended: redraw a terminal, write a line for each change elsewhere.",
        )
        parser.add_argument(
            "--json", dest="as_json", action="store_true", help="Print JSON; with --watch, one status a line."
        )

    @tells_errors
    def handle(self, *, instance_id: str, watch: bool, as_json: bool, **options: Any) -> None:
        if watch:
            self._watch(instance_id, as_json, options)
        elif as_json:
            self._write_json(instance_id, options)
        else:
            writer = inspection.Writer(self.stdout, self.style, full=options["full"])
            self._write(instance_id, writer, options)

    def _write(self, instance_id: str, writer: inspection.Writer, options: dict[str, Any]) -> None:
        view = inspection.read(client, instance_id, options["execution"])
        writer.view(view)
        if options["tree"]:
            writer.tree(client.get_instance_tree(instance_id))
        if options["history"]:
            writer.history(inspection.events_of(client, instance_id, view.execution.number))

    def _write_json(self, instance_id: str, options: dict[str, Any]) -> None:
        view = inspection.read(client, instance_id, options["execution"])
        data = {
            **shapes.detail(view.info),
            "waiting_for": [shapes.waiting(each) for each in view.waits],
            "execution": shapes.execution(view.execution),
        }
        if options["tree"]:
            data["tree"] = [shapes.summary(node) for node in client.get_instance_tree(instance_id).nodes]
        if options["history"]:
            found = inspection.events_of(client, instance_id, view.execution.number)
            data["history"] = [shapes.event(event) for event in found]
        rendering.write_json(self.stdout, data)

    # Watching.

    def _watch(self, instance_id: str, as_json: bool, options: dict[str, Any]) -> None:
        """Show each change. Raises: CommandError: it has ended, and did not complete."""
        if options["execution"] is not None:
            raise CommandError("--watch shows the current execution; leave --execution out.")
        redraws = self.stdout.isatty() and not as_json
        if redraws:
            self.stdout.write(CLEAR, ending="")
        seen: StatusRecord | None = None
        for record in following.follow(client, instance_id, tick=TICK if redraws else following.LONGEST_SLICE):
            if redraws:
                self._redraw(instance_id, options)
            elif seen is None or record.revision != seen.revision or record.id != seen.id:
                self._write_change(record, seen, as_json, options)
            seen = record
        assert seen is not None
        if seen.runtime_status is not RuntimeStatus.COMPLETED:
            reason = f": {seen.failure}" if seen.failure else ""
            raise CommandError(f"Instance {instance_id!r} is {seen.runtime_status}{reason}.")

    def _redraw(self, instance_id: str, options: dict[str, Any]) -> None:
        """Write everything over what stood there, as much as the terminal has room for."""
        columns, lines = shutil.get_terminal_size()
        page = io.StringIO()
        width = max(columns - 20, 20)
        writer = inspection.Writer(OutputWrapper(page), self.style, full=options["full"], width=width)
        self._write(instance_id, writer, options)
        shown = page.getvalue().splitlines()
        if len(shown) >= lines:
            shown = [*shown[: max(lines - 2, 1)], rendering.CUT]
        drawn = "".join(f"{line}{END_OF_LINE}\n" for line in shown)
        self.stdout.write(f"{CUT_LINES}{HOME}{drawn}{END_OF_SCREEN}{WRAP_LINES}", ending="")
        self.stdout.flush()

    def _write_change(
        self, record: StatusRecord, seen: StatusRecord | None, as_json: bool, options: dict[str, Any]
    ) -> None:
        if as_json:
            rendering.write_line(self.stdout, shapes.status(record))
        else:
            status = record.runtime_status
            parts = [rendering.moment(record.updated_at), rendering.tone_of(status, self.style)(status.value)]
            parts.append(f"revision {record.revision}")
            if record.execution_number > 1:
                parts.append(f"execution {record.execution_number}")
            if record.custom_status is not None and (seen is None or record.custom_status != seen.custom_status):
                parts.append(rendering.one_line(record.custom_status, None if options["full"] else 200))
            if record.blocked_reason is not None:
                parts.append(rendering.one_line(str(record.blocked_reason), 400))
            self.stdout.write("  ".join(parts))
        self.stdout.flush()
