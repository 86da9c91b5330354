"""Everything that each face says of the instances of these tests."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from unittest import mock
from urllib.parse import quote

from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client as Browser

from django_durable.client.viewing import client
from django_durable.live import Wish
from tests.live.support import Ear, Somebody, scenario

from .secrets import INSTANCES, changed

ADMIN = "/admin/django_durable/instance/"
API = "/durable/instances/"


def _browser() -> Browser:
    browser = Browser()
    browser.force_login(User.objects.get(username="root"))
    return browser


def _pages(paths: Iterator[str]) -> Iterator[tuple[str, str]]:
    browser = _browser()
    for path in paths:
        answer = browser.get(path)
        assert answer.status_code == 200, (path, answer)
        yield path, answer.content.decode()


def admin() -> Iterator[tuple[str, str]]:
    from django_durable.models import Instance

    def paths() -> Iterator[str]:
        yield ADMIN
        yield f"{ADMIN}overview/"
        for instance in Instance.objects.all():
            yield f"{ADMIN}{instance.pk}/change/"
            yield f"{ADMIN}{instance.pk}/history/"
            if instance.execution_number > 1:
                yield f"{ADMIN}{instance.pk}/change/?execution=1"

    return _pages(paths())


def rest() -> Iterator[tuple[str, str]]:
    def paths() -> Iterator[str]:
        yield API
        for instance_id in INSTANCES:
            for part in ("", "status/", "tree/", "executions/", "executions/1/", "history/?execution=1", "kv/"):
                yield f"{API}{quote(instance_id)}/{part}"
        for part in ("history/?execution=2", "executions/2/"):
            yield f"{API}repeated/{part}"
        yield f"{API}open/kv/word/"
        yield f"{API}open/streams/"
        for stream in ("words", "ended"):
            yield f"{API}open/streams/{stream}/items/"

    return _pages(paths())


def answers() -> Iterator[tuple[str, str]]:
    """What REST answers to changes, and to what it refuses."""
    browser = _browser()
    for instance_id, path, body in [
        ("returned", "retry/", {}),
        ("returned", "cancel/", {}),
        ("open", "suspend/", {}),
        ("open", "resume/", {}),
        ("open", "events/", {"name": "nobody waits"}),
        ("open", "streams/ended/items/", {"items": [1]}),
        ("blocked", "suspend/", {}),
    ]:
        path = f"{API}{instance_id}/{path}"
        answer = browser.post(path, json.dumps(body), content_type="application/json")
        assert answer.status_code in (200, 202, 409), (path, answer.content)
        yield path, answer.content.decode()
    bulk = {"operation": "cancel", "instance_ids": list(INSTANCES), "dry_run": True}
    yield "bulk", browser.post("/durable/bulk/", json.dumps(bulk), content_type="application/json").content.decode()


def commands() -> Iterator[tuple[str, str]]:
    def said(*arguments: str) -> tuple[str, str]:
        out, err = io.StringIO(), io.StringIO()
        try:
            call_command(f"durable_{arguments[0]}", *arguments[1:], stdout=out, stderr=err)
        except CommandError as error:
            err.write(str(error))
        return " ".join(arguments), out.getvalue() + err.getvalue()

    yield said("list")
    yield said("list", "--json")
    yield said("export", "--all", "--every-execution")
    with mock.patch.object(client, "registry", changed):
        yield said("check_replay", "--processes", "1", "--show", "100")
        yield said("check_replay", "--processes", "1", "--json")
    for instance_id in INSTANCES:
        yield said("inspect", instance_id, "--history", "--tree")
        yield said("inspect", instance_id, "--history", "--tree", "--full")
        yield said("inspect", instance_id, "--history", "--tree", "--json")
    yield said("inspect", "repeated", "--history", "--full", "--execution", "1")
    for instance_id in ("returned", "broken", "terminated"):
        yield said("inspect", instance_id, "--watch")
        yield said("inspect", instance_id, "--watch", "--json")


def live() -> Iterator[tuple[str, str]]:
    @scenario
    async def told(user: User) -> list[tuple[str, str]]:
        found = []
        for instance_id in INSTANCES:
            ear = Ear(Somebody(user))
            ear.listener.subscribe(Wish(instance_id=instance_id, history=True, kv=True, after=(0, 0)))
            ended = instance_id not in ("open", "blocked", "repeated")
            await ear.until_type("done" if ended else "kv")
            if not ended:
                await ear.until_type("history")
            found.append((instance_id, json.dumps(ear.told, ensure_ascii=False)))
            ear.close()
        return found

    return iter(told(User.objects.get(username="root")))


FACES: dict[str, Callable[[], Iterator[tuple[str, str]]]] = {
    "admin": admin,
    "rest": rest,
    "answers": answers,
    "commands": commands,
    "live": live,
}
