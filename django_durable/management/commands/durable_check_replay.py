"""`manage.py durable_check_replay`: whether the code that is here fits the instances that are there. A deploy gate."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...client.viewing import client
from ...engine.states import TERMINAL, RuntimeStatus
from ...engine.transcript import FORMAT
from .. import arguments, rendering, shapes
from ..exits import tells_errors
from ..paging import Pages
from ..progress import Progress
from ..replaying import Exported, Stored, Verdict, verdicts
from ..verdicts import check

SHOWN = 20
OPEN = [each for each in RuntimeStatus if each not in TERMINAL]


class Command(arguments.OwnVersionOption, BaseCommand):
    """See the module docstring."""

    help = (
        "Replay the histories of all open instances, or exported ones, against the code that is here, without writing "
        "anything; end with 0 when the code fits all of them, and with 1 and the first difference of each otherwise."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "files",
            nargs="*",
            metavar="FILE",
            help="Exported histories, one in a file or one a line, or - for standard input; without them, those of "
            "the database.",
        )
        arguments.add_filter(parser)
        parser.add_argument(
            "--closed",
            type=arguments.whole(0),
            default=0,
            metavar="NUMBER",
            help="Also so many instances of each orchestration that have ended, the newest.",
        )
        parser.add_argument("--skip-blocked", action="store_true", help="Leave out instances that are Blocked already.")
        parser.add_argument(
            "-p",
            "--processes",
            type=arguments.whole(1),
            default=os.cpu_count() or 1,
            metavar="NUMBER",
            help="How many processes replay at a time; by default as many as there are processors.",
        )
        parser.add_argument(
            "--show",
            type=arguments.whole(0),
            default=SHOWN,
            metavar="NUMBER",
            help=f"How many differences to show; by default {SHOWN}. All of them are counted.",
        )
        parser.add_argument("--json", dest="as_json", action="store_true", help="Print JSON, with every difference.")

    @tells_errors
    def handle(self, *, files: list[str], processes: int, **options: Any) -> None:
        if files and (arguments.is_filtered(options) or options["closed"] or options["skip_blocked"]):
            raise CommandError("Filters are for the database; leave them out where there are files.")
        subjects: Iterable[Stored | Exported] = exported(files) if files else stored(options)
        results = rendering.Results(self.stdout) if options["as_json"] else None
        checked = failed = 0
        with Progress(self.stderr, quiet=not options["verbosity"]) as progress:
            try:
                for verdict in verdicts(subjects, processes=processes, check=check):
                    checked += 1
                    progress.show(f"Replayed {checked:,}, of which {failed:,} differ")
                    if verdict.mismatch is None:
                        continue
                    failed += 1
                    progress.clear()
                    if results is not None:
                        results.add(_shape(verdict))
                    elif failed <= options["show"]:
                        self._tell(verdict)
            except BrokenProcessPool:
                raise CommandError("A process that replays has died. Try with --processes 1 to see why.") from None
        if results is not None:
            results.close(ok=not failed, checked=checked, failed=failed)
        self._sum_up(checked, failed, options)

    def _tell(self, verdict: Verdict) -> None:
        found = verdict.mismatch
        assert found is not None
        parts = [verdict.orchestration or "", verdict.version or "", verdict.runtime_status or ""]
        about = " ".join(rendering.printable(part) for part in parts if part)
        self.stdout.write(f"{self.style.ERROR(rendering.printable(verdict.label))}  {about}")
        if found.seq is None:
            self.stdout.write(f"  {rendering.one_line(found.detail)}")
            return
        place = f"event {found.seq}" + (f" of execution {verdict.execution}" if verdict.execution != 1 else "")
        self.stdout.write(f"  {place}")
        self.stdout.write(f"    recorded   {rendering.one_line(found.recorded or 'nothing')}")
        self.stdout.write(f"    requested  {rendering.one_line(found.requested or 'nothing')}")
        for each in found.differences:
            self.stdout.write(
                f"    {rendering.printable(each.field)}: "
                f"{rendering.one_line(repr(each.recorded), 200)} -> {rendering.one_line(repr(each.requested), 200)}"
            )

    def _sum_up(self, checked: int, failed: int, options: dict[str, Any]) -> None:
        """Say how many there were. Raises: CommandError: some differ."""
        total = "1 history" if checked == 1 else f"{checked:,} histories"
        if failed:
            if not options["as_json"] and failed > options["show"]:
                self.stdout.write(f"and {failed - options['show']:,} more")
            raise CommandError(
                f"The code does not fit {failed:,} of {total}; deployed like this, it would block those that are open."
            )
        if options["verbosity"] and not options["as_json"]:
            self.stdout.write(
                self.style.SUCCESS(f"The code fits {total}.") if checked else "There is nothing to replay."
            )


def stored(options: dict[str, Any]) -> Iterator[Stored]:
    """Yield the open instances that a filter lets through, and then some that have ended."""
    filter = arguments.filter_of(options)
    blocked = [RuntimeStatus.BLOCKED] if options["skip_blocked"] else []
    wanted = [each for each in filter.statuses or OPEN if each not in blocked]
    pages = [Pages(client, replace(filter, runtime_status=wanted))]
    names = [name for name in client.registry.names if filter.orchestration in (None, name)]
    if options["closed"]:
        for name in names:
            ended = replace(filter, orchestration=name, runtime_status=sorted(TERMINAL))
            pages.append(Pages(client, ended, limit=options["closed"]))
    for page in pages:
        for found in page:
            yield Stored(
                id=found.id,
                execution=found.execution_number,
                events=found.history_length,
                instance_id=found.instance_id,
                orchestration=found.orchestration,
                version=found.version,
                runtime_status=found.runtime_status.value,
            )


def exported(names: Iterable[str]) -> Iterator[Exported]:
    """Yield the histories in files: the whole file, or each line of it. Raises: CommandError: it cannot be read."""
    for name in names:
        try:
            if name == "-":
                yield from _lines("standard input", sys.stdin)
                continue
            with Path(name).open(encoding="utf-8") as file:
                if FORMAT in (first := file.readline()) and first.rstrip().endswith("}"):
                    yield Exported(f"{name}:1", first)
                    yield from _lines(name, file, start=2)
                else:
                    yield Exported(name, first + file.read())
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{name} cannot be read: {error}.") from None


def _lines(name: str, lines: Iterable[str], *, start: int = 1) -> Iterator[Exported]:
    for number, line in enumerate(lines, start=start):
        if line.strip():
            yield Exported(f"{name}:{number}", line)


def _shape(verdict: Verdict) -> shapes.Shape:
    found = verdict.mismatch
    assert found is not None
    return {
        "instance_id": verdict.instance_id,
        "execution_number": verdict.execution,
        "orchestration": verdict.orchestration,
        "version": verdict.version,
        "runtime_status": verdict.runtime_status,
        "source": verdict.label,
        "code": found.code,
        "detail": found.detail,
        "seq": found.seq,
        "recorded": found.recorded,
        "requested": found.requested,
        "differences": [
            {"field": each.field, "recorded": repr(each.recorded), "requested": repr(each.requested)}
            for each in found.differences
        ],
    }
