"""`manage.py durable_health`: whether the system works, for probes and for people."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...client.viewing import client
from ...store.connections import DatabaseFault
from .. import arguments, rendering
from ..exits import tells_errors

HEARTBEAT_AGE = timedelta(seconds=60)
WAIT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    name: str
    ok: bool
    detail: str


class Command(BaseCommand):
    """See the module docstring."""

    help = (
        "Check that the database answers and has the migrations, that workers are alive, and that nothing which is due "
        "waits for too long; end with 0 when all of it is well, and 1 otherwise."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--min-workers",
            type=arguments.whole(0),
            default=1,
            metavar="NUMBER",
            help="How many workers must be alive; by default 1, 0 where a probe is not about workers.",
        )
        parser.add_argument(
            "--max-heartbeat-age",
            type=arguments.duration,
            default=HEARTBEAT_AGE,
            metavar="DURATION",
            help=f"A worker is alive when it was heard of so recently; by default {HEARTBEAT_AGE.seconds}s.",
        )
        parser.add_argument(
            "--this-host", action="store_true", help="Count only workers of this host, as the probe of a container."
        )
        parser.add_argument(
            "--max-wait",
            type=arguments.duration,
            default=WAIT,
            metavar="DURATION",
            help="How long turns and activities that are due may wait for a worker; by default 5m.",
        )
        parser.add_argument(
            "--max-blocked",
            type=arguments.whole(0),
            metavar="NUMBER",
            help="How many instances may be Blocked; by default any number.",
        )
        parser.add_argument("--json", dest="as_json", action="store_true", help="Print JSON.")

    @tells_errors
    def handle(self, *, as_json: bool, **options: Any) -> None:
        found = list(self._checks(options))
        ok = all(each.ok for each in found)
        if as_json:
            rendering.write_json(self.stdout, {"ok": ok, "checks": [asdict(each) for each in found]})
        elif options["verbosity"]:
            rows = ((each.name, self._line(each)) for each in found)
            rendering.pairs(self.stdout, rows, self.style)
        if not ok:
            raise CommandError(f"Not well: {', '.join(each.name for each in found if not each.ok)}.")

    def _line(self, found: Finding) -> rendering.Cell:
        tone = self.style.SUCCESS if found.ok else self.style.ERROR
        return f"{tone('ok') if found.ok else tone('not ok')}, {rendering.one_line(found.detail)}"

    def _checks(self, options: dict[str, Any]) -> Iterator[Finding]:
        try:
            missing = client.list_unapplied_migrations()
        except DatabaseFault as error:
            yield Finding("database", False, str(error).strip())
            return
        yield Finding("database", True, f"{client.using!r} answers")
        if missing:
            yield Finding("migrations", False, f"not applied: {', '.join(missing)}; run migrate")
            return
        yield Finding("migrations", True, "all applied")
        yield self._workers(options)
        yield from self._backlog(options)

    def _workers(self, options: dict[str, Any]) -> Finding:
        heard_since = datetime.now(UTC) - options["max_heartbeat_age"]
        known = client.list_workers()
        where = ""
        if options["this_host"]:
            known = [each for each in known if each.host == socket.gethostname()]
            where = " on this host"
        alive = [each for each in known if each.heartbeat_at >= heard_since and not each.stopping]
        detail = f"{len(alive)} alive{where}, {len(known) - len(alive)} silent or stopping"
        return Finding("workers", len(alive) >= options["min_workers"], f"{detail}, expected {options['min_workers']}")

    def _backlog(self, options: dict[str, Any]) -> Iterator[Finding]:
        backlog, now = client.get_backlog(), datetime.now(UTC)
        task = f"activities{f' with tag {backlog.task_tag!r}' if backlog.task_tag else ''}"
        for name, what, since in (("turns", "turns", backlog.turn_since), ("activities", task, backlog.task_since)):
            waited = timedelta(0) if since is None else now - since
            detail = "nothing waits" if since is None else f"{what} wait since {rendering.duration(waited)}"
            yield Finding(name, waited <= options["max_wait"], detail)
        most = options["max_blocked"]
        detail = "none" if not backlog.blocked else rendering.count(backlog.blocked, "instance")
        yield Finding("blocked", most is None or backlog.blocked <= most, detail)
