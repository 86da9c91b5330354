"""`manage.py durable_export`: histories as files that tests and durable_check_replay take."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.core.management.base import BaseCommand, CommandParser

from ...client import Client, client as stored
from ...client.viewing import client
from ...engine import transcript
from ...engine.program import Checkpoint
from ...redaction import current_hook
from .. import arguments, inspection, rendering, selection
from ..exits import tells_errors
from ..paging import Pages
from ..progress import Progress

LONGEST_NAME = 180
"""Characters of a file's name at most, before its number and ending."""


class Command(arguments.OwnVersionOption, BaseCommand):
    """See the module docstring."""

    help = (
        "Export histories, with the payloads in them, in the format that durable_check_replay and assert_replays take: "
        "one JSON object a line, or one file for each execution. Or, with --trace, what took how long, for a viewer."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        selection.add_arguments(parser)
        parser.add_argument(
            "--every-execution",
            action="store_true",
            help="Also those that an instance has continued from; else only the current one.",
        )
        parser.add_argument(
            "--unredacted",
            action="store_true",
            help="As they are stored, also where the project has a REDACT hook; only these are sure to replay.",
        )
        parser.add_argument(
            "-d",
            "--directory",
            type=Path,
            metavar="PATH",
            help="Write files into this directory, made where there is none, and not to standard output.",
        )

        parser.add_argument(
            "--trace",
            action="store_true",
            help="Instead of histories, the spans of all executions, as JSON lines that Duron's trace viewer opens.",
        )

    @tells_errors
    def handle(
        self, *, directory: Path | None, every_execution: bool, unredacted: bool, trace: bool, **options: Any
    ) -> None:
        reader = stored if unredacted else client
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
        if trace:
            self._traces(reader, directory, options)
            return
        written = unstarted = 0
        with Progress(self.stderr, quiet=not options["verbosity"]) as progress:
            for instance_id, number in self._executions(options, every_execution):
                checkpoint = self._checkpoint(
                    instance_id, number, unredacted
                )  # Before events that it may not be after.
                history = list(inspection.events_of(reader, instance_id, number))
                if not history:
                    unstarted += 1
                    continue
                self._write(transcript.dump(history, checkpoint), instance_id, number, directory)
                written += 1
                if directory is not None or not self.stdout.isatty():
                    progress.show(f"Exported {written:,}")
        if options["verbosity"]:
            left = f"; {rendering.count(unstarted, 'instance')} had none yet" if unstarted else ""
            where = f" into {directory}" if directory is not None else ""
            number_of = f"{written:,} history" if written == 1 else f"{written:,} histories"
            redacted = " Payloads are as the REDACT hook shows them." if current_hook() and not unredacted else ""
            self.stderr.write(f"{number_of} exported{where}{left}.{redacted}", style_func=str)

    def _traces(self, reader: Client, directory: Path | None, options: dict[str, Any]) -> None:
        for instance_id in dict.fromkeys(each for each, _ in self._executions(options, every_execution=False)):
            lines = [json.dumps(line, ensure_ascii=False) for line in reader.export_trace(instance_id)]
            if directory is None:
                self.stdout.write("\n".join(lines))
            else:
                name = file_name(instance_id, 1).removesuffix("-1.json") + ".jsonl"
                (directory / name).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _executions(self, options: dict[str, Any], every_execution: bool) -> Iterator[tuple[str, int]]:
        """Yield which executions to export, page by page."""
        named = selection.named(options)
        if named:
            chosen = ((each, client.get_status_record(each).execution_number) for each in named)
        else:
            pages = Pages(client, arguments.filter_of(options), limit=options["limit"])
            chosen = ((each.instance_id, each.execution_number) for each in pages)
        for instance_id, current in chosen:
            numbers = client.list_executions(instance_id) if every_execution else [current]
            yield from ((instance_id, number) for number in numbers)

    def _checkpoint(self, instance_id: str, number: int, unredacted: bool) -> Checkpoint | None:
        """Return the checkpoint of an execution, where what it holds may be shown."""
        return stored.read_checkpoint(instance_id, number) if unredacted or current_hook() is None else None

    def _write(self, data: dict[str, Any], instance_id: str, number: int, directory: Path | None) -> None:
        if directory is None:
            rendering.write_line(self.stdout, data)
        else:
            text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
            (directory / file_name(instance_id, number)).write_text(text, encoding="utf-8")


def file_name(instance_id: str, number: int) -> str:
    """Return a name that every file system takes, another for every execution."""
    name = quote(instance_id, safe="")
    if len(name) > LONGEST_NAME:
        name = f"{name[: LONGEST_NAME - 17]}-{hashlib.sha256(instance_id.encode()).hexdigest()[:16]}"
    return f"{name}-{number}.json"
