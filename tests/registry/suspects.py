"""Orchestrations for the determinism check. Nothing here is ever run; the suspect line of each ends in `# here`."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import random
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from pathlib import Path
from random import randint as roll
from typing import Any
from urllib import request

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.timezone import now

from django_durable.client import client


def sleeps(ctx: Any) -> Any:
    time.sleep(1)  # here
    yield


async def asks_the_clock_as_it_goes(ctx: Any) -> str:
    return datetime.now().isoformat()


async def draws_as_it_goes(ctx: Any) -> float:
    return random.random()


async def sleeps_as_it_goes(ctx: Any) -> None:
    time.sleep(1)


def reads_the_clock(ctx: Any) -> Any:
    yield ctx.schedule_timer(int(time.time()))  # here


def asks_datetime(ctx: Any) -> str:
    return datetime.now().isoformat()  # here


def asks_datetime_by_its_module(ctx: Any) -> Any:
    return dt.datetime.utcnow()  # here


def asks_the_date(ctx: Any) -> Any:
    return date.today()  # here


def asks_django(ctx: Any) -> Any:
    return timezone.now()  # here


def asks_django_by_name(ctx: Any) -> Any:
    return now()  # here


def rolls(ctx: Any) -> Any:
    return roll(1, 6)  # here


async def chooses(ctx: Any) -> Any:
    async def inner() -> Any:
        return random.choice([1, 2])  # here

    return await inner()


def makes_a_guid(ctx: Any) -> Any:
    return str(uuid.uuid4())  # here


def imports_inside(ctx: Any) -> Any:
    import secrets

    return secrets.token_hex()  # here


def fetches(ctx: Any) -> Any:
    return request.urlopen("http://x")  # here


def queries(ctx: Any) -> Any:
    return User.objects.filter(pk=1).count()  # here


async def queries_async(ctx: Any) -> Any:
    return await User.objects.aget(pk=1)  # here


def opens(ctx: Any) -> Any:
    with open("x") as file:  # here
        return file.name


def opens_a_transaction(ctx: Any) -> Any:
    with transaction.atomic():  # here
        yield


async def uses_a_thread(ctx: Any) -> Any:
    await asyncio.to_thread(print)  # here


async def uses_an_executor(ctx: Any) -> Any:
    await asyncio.get_running_loop().run_in_executor(None, print)  # here


def makes_a_pool(ctx: Any) -> Any:
    ThreadPoolExecutor(2)  # here


def runs_a_program(ctx: Any) -> Any:
    subprocess.run(["true"], check=True)  # here


def reads_the_environment(ctx: Any) -> Any:
    return os.environ["STAGE"]  # here


def asks_the_environment(ctx: Any) -> Any:
    return os.getenv("STAGE")  # here


def lists_a_directory(ctx: Any) -> Any:
    return os.listdir(".")  # here


def reads_a_file(ctx: Any) -> Any:
    return Path("x").read_text()  # here


def saves_a_row(ctx: Any, user: Any) -> Any:
    user.save()  # here
    yield


async def refreshes_a_row(ctx: Any, user: Any) -> Any:
    await user.arefresh_from_db()  # here


def follows_a_relation(ctx: Any, user: Any) -> Any:
    return list(user.groups.values_list("name"))  # here


def chains_on_a_manager(ctx: Any) -> Any:
    return User.objects.select_related("profile").filter(pk=1).values_list("pk")  # here


def starts_by_the_client(ctx: Any) -> Any:
    client.start_orchestration("x", "y")  # here
    yield


def hashes(ctx: Any, text: str) -> Any:
    return hash(text)  # here


def walks_a_set(ctx: Any, names: list[str]) -> Any:
    for name in set(names):  # here
        yield ctx.schedule_activity(name)


def yields_from_a_set(ctx: Any, names: list[str]) -> Any:
    yield from {ctx.schedule_activity(name) for name in names}  # here


def walks_a_named_set(ctx: Any, names: list[str]) -> Any:
    unique = {name.lower() for name in names}
    yield ctx.all([ctx.schedule_activity(name) for name in unique])  # here


def lists_a_set(ctx: Any, names: list[str]) -> Any:
    return list(frozenset(names))  # here


def asks_a_helper(ctx: Any) -> Any:
    yield ctx.schedule_timer(_seconds_until_midnight())


def _seconds_until_midnight() -> int:
    return 86_400 - datetime.now().second  # here


EXPECTED = [
    (reads_the_environment, "reads os.environ", "pass it as an input"),
    (asks_the_environment, "os.getenv()", "pass it as an input"),
    (lists_a_directory, "os.listdir()", "move it into an activity"),
    (reads_a_file, "Path('x').read_text()", "move it into an activity"),
    (saves_a_row, "user.save()", "move it into an activity"),
    (refreshes_a_row, "user.arefresh_from_db()", "move it into an activity"),
    (follows_a_relation, "user.groups.values_list()", "move it into an activity"),
    (chains_on_a_manager, "User.objects", "move it into an activity"),
    (starts_by_the_client, "django_durable.client.client.start_orchestration()", "use the verbs of ctx"),
    (hashes, "builtins.hash()", "zlib.crc32"),
    (walks_a_set, "iterates over a set", "sorted(...)"),
    (yields_from_a_set, "iterates over a set", "sorted(...)"),
    (walks_a_named_set, "iterates over a set", "sorted(...)"),
    (lists_a_set, "iterates over a set", "sorted(...)"),
    (asks_a_helper, "datetime.datetime.now()", "use ctx.now"),
    (sleeps, "time.sleep()", "use ctx.schedule_timer"),
    (reads_the_clock, "time.time()", "use ctx.now"),
    (asks_datetime, "datetime.datetime.now()", "use ctx.now"),
    (asks_datetime_by_its_module, "datetime.datetime.utcnow()", "use ctx.now"),
    (asks_the_date, "datetime.date.today()", "use ctx.now"),
    (asks_django, "django.utils.timezone.now()", "use ctx.now"),
    (asks_django_by_name, "django.utils.timezone.now()", "use ctx.now"),
    (rolls, "random.randint()", "use ctx.random"),
    (chooses, "random.choice()", "use ctx.random"),
    (makes_a_guid, "uuid.uuid4()", "ctx.new_guid()"),
    (imports_inside, "secrets.token_hex()", "use ctx.random"),
    (fetches, "urllib.request.urlopen()", "move it into an activity"),
    (queries, "User.objects", "move it into an activity"),
    (queries_async, "User.objects", "move it into an activity"),
    (opens, "builtins.open()", "move it into an activity"),
    (opens_a_transaction, "django.db.transaction.atomic()", "move it into an activity"),
    (uses_a_thread, "asyncio.to_thread()", "move it into an activity"),
    (uses_an_executor, "asyncio.get_running_loop().run_in_executor()", "move it into an activity"),
    (makes_a_pool, "concurrent.futures.ThreadPoolExecutor()", "move it into an activity"),
    (runs_a_program, "subprocess.run()", "move it into an activity"),
]


def uses_the_context(ctx: Any) -> Any:
    yield ctx.schedule_timer(5)
    return ctx.random.random(), ctx.now, (yield ctx.new_guid())


async def waits(ctx: Any) -> Any:
    await asyncio.sleep(1)
    async with asyncio.timeout(5):
        await asyncio.gather(ctx.schedule_activity("a"), ctx.schedule_activity("b"))


def computes_with_times(ctx: Any) -> Any:
    return datetime(2026, 1, 1) + dt.timedelta(days=1), date(2026, 1, 1), time.strftime("%Y"), uuid.UUID(int=5)


def names_are_its_own(ctx: Any, random: Any, open: Any) -> Any:
    time = ctx.now
    return random.random(), open("x"), time.time()


async def runs_local_steps(ctx: Any) -> Any:
    def step() -> Any:
        return random.random()

    await ctx.run(step)
    await ctx.run(lambda: time.time())
    await ctx.run(roll, 1, 6)


def is_silenced(ctx: Any) -> Any:
    return time.time()  # durable: ignore


def sorts_a_set(ctx: Any, names: list[str]) -> Any:
    unique = set(names)
    for name in sorted(unique):
        yield ctx.schedule_activity(name)
    return len(unique), sorted(name.lower() for name in unique), max(len(name) for name in set(names))


def rebinds_a_set(ctx: Any, names: Any) -> Any:
    names = set(names)
    names = sorted(names)
    return list(names)


async def walks_what_asyncio_returns(ctx: Any) -> Any:
    done, _ = await asyncio.wait([ctx.schedule_activity("a")])
    return [each.result() for each in done]


def calls_a_helper_that_computes(ctx: Any, names: list[str]) -> Any:
    return _joined(names), os.path.join("a", *names)


def _joined(names: list[str]) -> str:
    return _joined(names[1:]) if names else ""


async def gives_a_helper_to_a_step(ctx: Any) -> Any:
    return await ctx.run(_seconds_until_midnight)


INNOCENT = [
    uses_the_context,
    waits,
    computes_with_times,
    names_are_its_own,
    runs_local_steps,
    is_silenced,
    sorts_a_set,
    rebinds_a_set,
    walks_what_asyncio_returns,
    calls_a_helper_that_computes,
    gives_a_helper_to_a_step,
]
