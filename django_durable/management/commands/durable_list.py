"""`manage.py durable_list`: instances, newest first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...client import InstanceFilter, InstanceSummary
from ...client.viewing import client
from ...store.filters import LARGEST_PAGE, PAGE_SIZE
from .. import arguments, rendering, shapes
from ..exits import tells_errors
from ..paging import Pages

CUSTOM_STATUS_WIDTH = 50


class Command(arguments.OwnVersionOption, BaseCommand):
    """See the module docstring."""

    help = "List instances, newest first: a page of them, or with --all every one that the filter lets through."

    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        arguments.add_filter(parser)
        page = parser.add_mutually_exclusive_group()
        page.add_argument(
            "-n",
            "--limit",
            type=arguments.whole(1, LARGEST_PAGE),
            default=PAGE_SIZE,
            help=f"How many at most; by default {PAGE_SIZE}.",
        )
        page.add_argument("--all", dest="every", action="store_true", help="All of them, page by page.")
        parser.add_argument("--cursor", help="Go on after another page, which said how.")
        form = parser.add_mutually_exclusive_group()
        form.add_argument("--json", dest="as_json", action="store_true", help="Print JSON, one instance a line.")
        form.add_argument(
            "--ids", dest="only_ids", action="store_true", help="Print ids only, one a line, for other commands."
        )

    @tells_errors
    def handle(self, *, limit: int, every: bool, cursor: str | None, **options: Any) -> None:
        filter: InstanceFilter = arguments.filter_of(options)
        pages = Pages(client, filter, limit=None if every else limit, cursor=cursor)
        if options["as_json"]:
            results = rendering.Results(self.stdout)
            for found in pages:
                results.add(shapes.summary(found))
            results.close(next_cursor=pages.next_cursor)
            return
        if options["only_ids"]:
            for found in pages:
                self.stdout.write(found.instance_id)
        elif not self._table(pages):
            self.stderr.write("There is no such instance.", style_func=str)
        if pages.next_cursor is not None:
            self.stderr.write(f"There are more: --cursor {pages.next_cursor}, or --all.", style_func=str)

    def _table(self, pages: Pages) -> bool:
        """Write a table. Returns: whether it has a row."""
        titles = ("INSTANCE", "ORCHESTRATION", "VERSION", "STATUS", "CREATED", ">TOOK", "CUSTOM STATUS")
        now, any_row = datetime.now(UTC), False
        with rendering.table(self.stdout, titles, self.style) as table:
            for found in pages:
                table.add(*self._row(found, now))
                any_row = True
        return any_row

    def _row(self, found: InstanceSummary, now: datetime) -> Iterator[rendering.Cell]:
        status = found.runtime_status
        yield rendering.printable(found.instance_id)
        yield rendering.printable(found.orchestration)
        yield found.version
        yield status.value, rendering.tone_of(status, self.style)
        yield rendering.moment(found.created_at)
        yield rendering.duration((found.completed_at or now) - found.created_at)
        yield "" if found.custom_status is None else rendering.one_line(found.custom_status, CUSTOM_STATUS_WIDTH)
