"""`manage.py durable_worker`: parses options and runs a worker, or several."""

from __future__ import annotations

import atexit
import signal
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.utils import autoreload
from django.utils.translation import gettext as _

from ...engine.arguments import UNTAGGED
from ...engine.errors import CallerError
from ...store.records import TagFilter
from ...worker.options import own_id
from ...worker.service import exit_now, serve, serve_once
from ...worker.stopping import SIGNALS, StopRequests
from ...worker.supervisor import Supervisor
from ...worker.worker import Worker
from .. import reloading

RELOAD_SECONDS = 2.0
"""How long activities may go on running when the code has changed and the process is about to be replaced."""


class Command(BaseCommand):
    """See the module docstring."""

    help = _(
        "Run orchestrations and activities until stopped. The first SIGTERM or SIGINT finishes what runs and hands "
        "back the rest, the second ends at once."
    )
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "-p", "--processes", type=int, default=1, help=_("Worker processes to run and restart; default 1.")
        )
        parser.add_argument(
            "-c", "--concurrency", type=int, help=_("Activities at a time in each process; default from the settings.")
        )
        parser.add_argument(
            "-q",
            "--queues",
            "--tags",
            dest="tags",
            default=UNTAGGED,
            help=_(
                "Comma-separated tags whose activities to run. 'default' are those without a tag, '*' is every tag, "
                "'none' runs orchestrations only. Default: 'default'."
            ),
        )
        parser.add_argument("--worker-id", help=_("Name of the worker; default: host, pid and a random part."))
        parser.add_argument("--database", help=_("Database alias; default from the settings."))
        parser.add_argument("--once", action="store_true", help=_("Run everything that is due, then exit."))
        parser.add_argument("--reload", action="store_true", default=None, help=_("Restart when code changes."))
        parser.add_argument(
            "--no-reload", action="store_false", dest="reload", help=_("Do not; default: reload when DEBUG is on.")
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self._verbosity = options["verbosity"]
        if options["processes"] < 1:
            raise CommandError(_("--processes is %(found)s, expected at least 1.") % {"found": options["processes"]})
        reload = options["reload"]
        if reload is None:
            reload = django_settings.DEBUG and options["processes"] == 1 and not options["once"]
        if reload and (options["processes"] > 1 or options["once"]):
            raise CommandError(_("--reload goes with neither --processes nor --once."))
        if options["processes"] > 1 and options["once"]:
            raise CommandError(_("--once goes with a single process."))
        worker = self._worker(options)
        if options["processes"] > 1:
            self._supervise(options)
        elif reload and reloading.is_above():
            sys.exit(reloading.run_above())
        elif reload:
            autoreload.run_with_reloader(self._run_reloading, worker)
        else:
            self._run(worker, once=options["once"])

    def _worker(self, options: dict[str, Any]) -> Worker:
        try:
            return Worker(
                worker_id=options["worker_id"],
                concurrency=options["concurrency"],
                tags=tag_filter(options["tags"]),
                using=options["database"],
            )
        except (CallerError, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from error

    def _run(self, worker: Worker, *, once: bool) -> None:
        with StopRequests(at_second=exit_now) as stop:
            self._start(worker)
            healthy = serve_once(worker, stop) if once else serve(worker, stop)
        self._say_stopped(worker)
        if not healthy:
            raise CommandError(_("The worker ended after an error; see the log."))

    def _run_reloading(self, worker: Worker) -> None:
        """Run beside the reloader, which owns the main thread and its signals."""
        self._start(worker)
        atexit.register(self._say_stopped, worker)  # Called after the next one: the last that was registered is first.
        atexit.register(self._stop_in_good_order, worker)
        worker.wait_until_ended()

    def _stop_in_good_order(self, worker: Worker) -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # The process above may say it again, and kills it at a second one.
        worker.stop(RELOAD_SECONDS)

    def _start(self, worker: Worker) -> None:
        try:
            worker.start()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        options = worker.options
        self._say(
            _("Worker %(worker)s runs on database '%(database)s', %(slots)s activities at a time.")
            % {"worker": worker.worker_id, "database": options.using, "slots": options.concurrency}
        )

    def _say_stopped(self, worker: Worker) -> None:
        self._say(_("Worker %(worker)s has stopped.") % {"worker": worker.worker_id})

    def _say(self, text: str) -> None:
        """Write a line at once, also into a pipe. The log has the same, and new projects do not show theirs."""
        if self._verbosity:
            self.stdout.write(text)
            self.stdout.flush()

    def _supervise(self, options: dict[str, Any]) -> None:
        base = options["worker_id"] or own_id()
        with StopRequests() as stop:
            Supervisor(options["processes"], lambda number: command_line(options, f"{base}-{number}")).run(stop)


def tag_filter(text: str) -> TagFilter:
    """Return what `--tags` says. Raises: InvalidArgument, LimitExceeded: no tags, too many or too long ones."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    match names:
        case ["*"]:
            return TagFilter.ANY
        case ["none"]:
            return TagFilter.NONE
        case [name] if name == UNTAGGED:
            return TagFilter.DEFAULT_ONLY
        case _ if UNTAGGED in names:
            return TagFilter.default_and([name for name in names if name != UNTAGGED])
        case _:
            return TagFilter.tags(names)


def command_line(options: dict[str, Any], worker_id: str) -> list[str]:
    """Return the command line of one supervised process: this command, for a single worker."""
    entry = Path(sys.argv[0])
    start = [str(entry)] if entry.suffix == ".py" and entry.exists() else ["-m", "django"]
    given = ["--worker-id", worker_id, "--tags", options["tags"], "--no-reload"]
    for name in ("concurrency", "database", "settings", "pythonpath", "verbosity"):
        if options.get(name) is not None:
            given += [f"--{name}", str(options[name])]
    return [sys.executable, *start, "durable_worker", *given]
