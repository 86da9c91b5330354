"""`manage.py durable_prune`: deletes what is finished and old."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...client import DeleteResult, PruneOptions, PruneResult
from ...client.viewing import client
from ...engine.states import TERMINAL
from ...store.filters import LARGEST_PAGE
from .. import arguments, rendering
from ..exits import tells_errors
from ..progress import Progress

BATCH = 500


class Command(arguments.OwnVersionOption, BaseCommand):
    """See the module docstring."""

    help = (
        "Delete instances that ended longer ago than a time, with their descendants; or with --executions, the old "
        "executions of instances that have continued as new, which go on."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than",
            type=arguments.past,
            metavar="DURATION",
            help="How long ago they ended at least, such as 30d, or a moment; 0s for all that have ended.",
        )
        parser.add_argument("--executions", action="store_true", help="Delete old executions, and no instance.")
        parser.add_argument(
            "--keep-last",
            type=arguments.whole(1),
            metavar="NUMBER",
            help="With --executions: so many of the newest stay, the current one included; by default 1.",
        )
        parser.add_argument(
            "--batch-size",
            type=arguments.whole(1, LARGEST_PAGE),
            default=BATCH,
            metavar="NUMBER",
            help=f"How many instances in one transaction; by default {BATCH}.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Only say how many it would be.")
        parser.add_argument("--json", dest="as_json", action="store_true", help="Print JSON.")
        arguments.add_filter(parser)

    @tells_errors
    def handle(self, *, older_than: datetime | None, executions: bool, **options: Any) -> None:
        if executions:
            self._prune_executions(older_than, options)
        elif older_than is None:
            raise CommandError("Say with --older-than how long ago they must have ended, such as 30d.")
        elif options["keep_last"] is not None:
            raise CommandError("--keep-last goes with --executions.")
        else:
            self._delete_instances(older_than, options)

    def _delete_instances(self, older_than: datetime, options: dict[str, Any]) -> None:
        before = min(older_than, options["completed_before"] or older_than)
        asked = arguments.filter_of(options).statuses
        if asked and not TERMINAL.issuperset(asked):
            raise CommandError(f"Only those that have ended are deleted: {', '.join(sorted(TERMINAL))}.")
        filter = arguments.filter_of(options, completed_before=before, limit=options["batch_size"])
        expected = client.count_deletable_instances(filter)
        if options["dry_run"]:
            self._tell({"roots": expected}, options, f"{rendering.count(expected, 'root instance')} would be deleted.")
            return
        done = self._in_batches(
            lambda: client.delete_instance_bulk(filter), "instances_deleted", f"of {expected:,} roots", options
        )
        self._tell(done, options, f"{rendering.count(done['instances_deleted'], 'instance')} deleted.")

    def _prune_executions(self, older_than: datetime | None, options: dict[str, Any]) -> None:
        filter = arguments.filter_of(options, limit=options["batch_size"])
        which = PruneOptions(keep_last=options["keep_last"], completed_before=older_than)
        expected = client.count_prunable_executions(filter, which)
        if options["dry_run"]:
            text = f"{rendering.count(expected, 'execution')} would be deleted."
            self._tell({"executions": expected}, options, text)
            return
        done = self._in_batches(
            lambda: client.prune_executions_bulk(filter, which), "executions_deleted", f"of {expected:,}", options
        )
        self._tell(done, options, f"{rendering.count(done['executions_deleted'], 'execution')} deleted.")

    def _in_batches(
        self, batch: Callable[[], DeleteResult | PruneResult], counted: str, expected: str, options: dict[str, Any]
    ) -> Counter[str]:
        """Delete until a batch finds nothing. Each is a transaction, so what was done stays done."""
        done: Counter[str] = Counter()
        with Progress(self.stderr, quiet=not options["verbosity"]) as progress:
            while True:
                found = asdict(batch())
                done.update(found)
                if not found[counted]:
                    return done
                progress.show(f"Deleted {done[counted]:,} {expected}")

    def _tell(self, counts: dict[str, int], options: dict[str, Any], text: str) -> None:
        if options["as_json"]:
            rendering.write_json(self.stdout, {"dry_run": options["dry_run"], **counts})
        elif options["verbosity"]:
            self.stdout.write(text)
