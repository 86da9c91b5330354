"""`manage.py demo`: the shop's import and an order, run by a worker in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from django_durable import DurableError
from django_durable.client import OrchestrationStatus, client
from example_project.shop import accounts, services
from example_project.shop.models import Order, Outage, Poster
from example_project.shop.outside import PAYMENTS
from example_project.shop.workflows import SUPPLIER_PATIENCE, WAITING

Until = Callable[[OrchestrationStatus], bool]
LOOK = timedelta(seconds=1)
"""How often to see to the worker and the time while nothing changes."""


class Command(BaseCommand):
    help = "Import the real catalogue through a worker, approve it, order a poster, and say how long it took."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--timeout", type=float, default=120, help="Seconds after which the demo gives up.")

    def handle(self, *, timeout: float, **options: Any) -> None:
        migrations = MigrationExecutor(connection)
        if migrations.migration_plan(migrations.loader.graph.leaf_nodes()):
            raise CommandError("The database lacks migrations. Run manage.py migrate first.")
        started = time.monotonic()
        self.deadline = started + timeout
        try:
            with self.running_worker() as self.worker:
                self.import_catalogue()
                self.order_a_poster()
                self.check_a_price()
        except DurableError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(self.style.SUCCESS(f"Done in {time.monotonic() - started:.1f} s."))

    def import_catalogue(self) -> None:
        """Import the catalogue, publish it, and print what came of it."""
        started = time.monotonic()
        run = services.start_import()
        self.stdout.write(f"\n{run} started, in the transaction that saved its row.")
        status = self.follow(run.instance_id, until=lambda status: is_text(status, WAITING))
        imported = time.monotonic() - started

        services.decide_import(run, approved=True, by="demo")
        self.stdout.write(f"{run} approved.")
        status = self.follow(run.instance_id, seen=status.custom_status_version)
        self.stdout.write(f"{run} {status.runtime_status}: {status.output}")
        for rejected in run.rejected_rows.all():
            self.stdout.write(f"  rejected {rejected.row['city']}, {rejected.row['country']}: {rejected.reason}")
        self.stdout.write(f"{run} took {imported:.1f} s until the question, {time.monotonic() - started:.1f} s in all.")

    def order_a_poster(self) -> None:
        """Order the poster of the largest city while the payment provider is down for a moment."""
        Outage.objects.update_or_create(service=PAYMENTS, defaults={"failures_left": 2})
        order = services.place_order(accounts.demo_customer(), Poster.objects.filter(published=True, stock__gt=0)[0])
        self.stdout.write(f"\n{order} started: {order.poster}. The payment provider is down for its next two calls.")
        status = self.follow(order.instance_id)
        order.refresh_from_db()
        if order.status != Order.Status.SHIPPED:
            raise CommandError(f"{order} is {order.status}, expected shipped.")
        self.stdout.write(f"{order} {status.runtime_status}: {status.output}")

    def check_a_price(self) -> None:
        """Ask all printing houses at once for a price."""
        poster = Poster.objects.filter(published=True)[0]
        instance_id = services.check_prices(poster)
        best = client.wait_for_output(instance_id, timeout=SUPPLIER_PATIENCE * 2)
        self.stdout.write(f"\nThe best offer for {poster} is {best.cost} € from {best.supplier}.")

    def follow(self, instance_id: str, until: Until = lambda status: False, seen: int = 0) -> OrchestrationStatus:
        """Print the custom status whenever its version moves on from `seen`, until the end or until `until` holds.

        Raises: CommandError: it did not complete, the worker is gone, or the time is up.
        """
        while True:
            status = client.wait_for_status_change(instance_id, seen, timeout=LOOK) or client.get_status(instance_id)
            if status.custom_status_version > seen:
                seen = status.custom_status_version
                self.stdout.write(f"{instance_id} {describe(status.custom_status)}")
            if status.error or status.blocked_reason:
                raise CommandError(f"{instance_id} is {status.runtime_status}: {status.error or status.blocked_reason}")
            if status.finished or until(status):
                return status
            if self.worker.poll() is not None:
                raise CommandError(f"The worker ended with exit code {self.worker.returncode}.")
            if time.monotonic() > self.deadline:
                raise CommandError(f"{instance_id} is still {status.runtime_status}; the time is up.")

    @contextmanager
    def running_worker(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run `manage.py durable_worker` in a process of its own; its log is printed if something goes wrong."""
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "durable_worker", "--no-reload"]
        with tempfile.TemporaryFile() as log, subprocess.Popen(command, stdout=log, stderr=log) as worker:
            self.stdout.write(f"Worker started: manage.py durable_worker, process {worker.pid}.")
            try:
                yield worker
                worker.terminate()
                if worker.wait(timeout=30):
                    raise CommandError(f"The worker ended with exit code {worker.returncode}, expected 0.")
                self.stdout.write("\nWorker stopped.")
            except BaseException:
                worker.kill()
                log.seek(0)
                self.stderr.write("The worker's log:\n" + log.read().decode(errors="replace"))
                raise


def is_text(status: OrchestrationStatus, text: str) -> bool:
    return bool(status.custom_status) and status.custom_status.get("text") == text


def describe(custom_status: Any) -> str:
    """Return a custom status of the shop as one line."""
    match custom_status:
        case {"progress": progress, "done": done, "total": total, "text": text}:
            return f"{progress:>5.0%}  {done:>5,} / {total:,}  {text}"
        case {"step": step}:
            return str(step)
        case _:
            return str(custom_status)
