"""`manage.py serve`: the shop's site and a worker, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from example_project.shop import accounts

SERVER = [sys.executable, "-m", "daphne", "example_project.asgi:application", "--verbosity", "0"]
WORKER = [sys.executable, str(settings.BASE_DIR / "manage.py"), "durable_worker", "--no-reload", "--verbosity=0"]
"""Without its own lines: the log of this project has them."""
PATIENCE = 30
"""Seconds for a process to end by itself."""


class Command(BaseCommand):
    help = "Run the shop's site (daphne) and a worker until Ctrl-C or SIGTERM. For looking around, not for production."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("address", nargs="?", default="127.0.0.1:8000", help="Host and port of the site.")

    def handle(self, *, address: str, **options: Any) -> None:
        host, _, port = address.rpartition(":")
        call_command("migrate", verbosity=0)
        accounts.demo_customer()
        accounts.demo_staff()
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        processes: dict[str, subprocess.Popen[bytes]] = {}
        try:
            processes["worker"] = self.start(WORKER)
            processes["site"] = self.start([*SERVER, "-b", host, "-p", port])
            self.welcome(address)
            ended, _ = os.wait()
            name = next(name for name, each in processes.items() if each.pid == ended)
            raise CommandError(f"The {name} ended by itself; its output says why.")
        except KeyboardInterrupt:
            self.stdout.write("\nStopping.")
        finally:
            stop([*processes.values()])

    def start(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Start a process that Ctrl-C does not reach: this one tells it once, and a second signal would hurry it."""
        environment = {"PAYMENT_SECONDS": "2", "WORD_SECONDS": "0.15", **os.environ}
        return subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment, start_new_session=True)

    def welcome(self, address: str) -> None:
        who = f"{accounts.CUSTOMER!r} or {accounts.STAFF!r}, password {accounts.PASSWORD!r}"
        self.stdout.write(self.style.SUCCESS(f"Meridian is at http://{address}/ (log in as {who}). Ctrl-C stops it."))
        self.stdout.flush()


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """End processes, kindly at first."""
    for each in processes:
        each.terminate()
    try:
        for each in processes:
            each.wait(PATIENCE)
    except BaseException:
        for each in processes:
            each.kill()
        raise
