"""django_durable: one `manage.py durable_worker`, and a client in another process."""

from __future__ import annotations

import os
from typing import Any

DATABASES = ("postgresql", "sqlite")
CONCURRENCIES = (8,)
MOST: dict[str, int] = {}


def setup(url: str) -> None:
    os.environ["DATABASE_URL"] = url
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.project.settings"
    import django

    django.setup()


def prepare(url: str) -> None:
    setup(url)
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def serve(url: str, concurrency: int) -> None:
    setup(url)
    from django.core.management import call_command

    call_command("durable_worker", "--no-reload", "--concurrency", str(concurrency))


class Client:
    def __init__(self, url: str) -> None:
        setup(url)
        from django_durable.client import client

        self._client = client

    def start(self, id: str, workload: str, size: int) -> None:
        self._client.start_orchestration(id, workload, size)

    def wait(self, id: str) -> Any:
        return self._client.wait_for_output(id, 600_000)
