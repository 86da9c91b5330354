"""`manage.py durable_stream`."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...client.streaming import LARGEST_POSITION
from ...client.viewing import client
from ...conf import settings
from ...store.streamreads import PageRecord, StreamRecord
from .. import arguments, rendering
from ..exits import tells_errors

PAGE = 1000
ONE_WAIT = timedelta(minutes=1)
TITLES = ("STREAM", ">ITEMS", ">FIRST", ">LAST", "CLOSED", "REASON")


class Command(arguments.OwnVersionOption, BaseCommand):
    """Reads a stream, or writes it."""

    help = "List the streams of an instance; or read, follow, send on, close or trim one of them."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("instance_id", metavar="INSTANCE", help="Whose streams.")
        parser.add_argument("stream", metavar="STREAM", nargs="?", help="Which one; without it, all are listed.")
        action = parser.add_mutually_exclusive_group()
        action.add_argument(
            "-f", "--follow", action="store_true", help="Go on with what comes, until the stream has ended."
        )
        action.add_argument(
            "-s",
            "--send",
            action="append",
            type=arguments.json_value,
            metavar="JSON|@FILE|-",
            help=f"Send an item, or several: give it more than once. {arguments.JSON_TEXT}",
        )
        action.add_argument("--close", action="store_true", help="End the stream.")
        action.add_argument("--keep", type=arguments.whole(0), metavar="N", help="Delete all but the newest N items.")
        action.add_argument(
            "--trim-before", type=arguments.whole(0), metavar="POSITION", help="Delete the items before this one."
        )
        parser.add_argument("--reason", metavar="TEXT", help="With --close: why; its readers then end by an error.")
        parser.add_argument(
            "--after",
            type=arguments.whole(0, LARGEST_POSITION),
            metavar="POSITION",
            help="Read what comes after this position; by default from the first item that is kept.",
        )
        parser.add_argument("--limit", type=arguments.whole(1), metavar="N", help="Read at most so many items.")
        parser.add_argument("--json", dest="as_json", action="store_true", help="Print a line of JSON for each.")

    @tells_errors
    def handle(self, *, instance_id: str, stream: str | None, **options: Any) -> None:
        """Do what the options say. Raises: CommandError: they do not go together."""
        writes = any(options[name] not in (None, False) for name in ("send", "close", "keep", "trim_before"))
        reads = options["follow"] or options["after"] is not None or options["limit"] is not None
        if stream is None and (writes or reads):
            raise CommandError("Name the stream; without one, the streams of the instance are listed.", returncode=2)
        if options["reason"] is not None and not options["close"]:
            raise CommandError("--reason goes with --close.", returncode=2)
        if stream is None:
            self._list(instance_id, as_json=options["as_json"])
        elif writes:
            self._write(instance_id, stream, options)
        else:
            self._read(instance_id, stream, options)

    def _write(self, instance_id: str, stream: str, options: dict[str, Any]) -> None:
        if options["send"] is not None:
            client.send_to_stream(instance_id, stream, *options["send"])
        elif options["close"]:
            client.close_stream(instance_id, stream, options["reason"])
        else:
            found = client.trim_stream(instance_id, stream, before=options["trim_before"], keep=options["keep"])
            if options["as_json"]:
                names = ("first_position", "items_deleted")
                rendering.write_line(self.stdout, {name: getattr(found, name) for name in names})
            elif options["verbosity"]:
                deleted = rendering.count(found.items_deleted, "item")
                self.stdout.write(f"{deleted} deleted, {found.first_position:,} is the first position that is left.")

    # Reading.

    def _list(self, instance_id: str, *, as_json: bool) -> None:
        found = client.list_streams(instance_id)
        if as_json:
            rendering.write_json(self.stdout, {"results": [_row(each) for each in found]})
            return
        with rendering.table(self.stdout, TITLES, self.style) as table:
            for each in found:
                table.add(
                    rendering.printable(each.name),
                    str(each.items),
                    str(each.first_position),
                    str(each.last_position),
                    "yes" if each.closed else "no",
                    rendering.one_line(None if each.reason is None else json.loads(each.reason), 60),
                )
        if not found:
            self.stderr.write(f"Instance {instance_id!r} has no streams.", style_func=str)

    def _read(self, instance_id: str, stream: str, options: dict[str, Any]) -> None:
        """Write items as they are there, and as they come. Raises: CommandError: the stream ended for a reason."""
        after, left = options["after"], options["limit"]
        nothing = True
        while left is None or left > 0:
            page = client.read_stream_record(
                instance_id,
                stream,
                after=after,
                limit=PAGE if left is None else min(left, PAGE),
                timeout=min(ONE_WAIT, settings.MAX_WAIT) if options["follow"] else 0,
            )
            self._show(page, as_json=options["as_json"])
            nothing = nothing and not page.items
            after = page.position
            left = None if left is None else left - len(page.items)
            if page.ended and page.reason is not None:
                raise CommandError(f"Stream {stream!r} is closed: {rendering.one_line(page.reason)}")
            if page.ended or (not page.items and not options["follow"]):
                break
        if nothing and not options["as_json"]:
            there = "no items" if options["after"] is None else f"nothing after {options['after']}"
            self.stderr.write(f"Stream {stream!r} of instance {instance_id!r} has {there}.", style_func=str)

    def _show(self, page: PageRecord, *, as_json: bool) -> None:
        for item in page.items:
            if as_json:
                at = item.created_at.isoformat()
                value = json.loads(item.payload)
                rendering.write_line(self.stdout, {"position": item.position, "value": value, "created_at": at})
            else:
                self.stdout.write(f"{item.position}  {rendering.printable(item.payload)}")
        self.stdout.flush()


def _row(record: StreamRecord) -> dict[str, Any]:
    return {
        "stream": record.name,
        "items": record.items,
        "first_position": record.first_position,
        "last_position": record.last_position,
        "closed": record.closed,
        "reason": None if record.reason is None else json.loads(record.reason),
    }
