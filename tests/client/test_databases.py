"""Instances in another database than `default`: all of it goes there, and no transaction of another one is trusted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.test import Client as Browser
from django.urls import reverse

from django_durable import Registry, models
from django_durable.client import Client
from django_durable.engine.errors import InstanceNotFound, WrongDatabase
from django_durable.worker.worker import Worker

SECOND = "second"


@pytest.fixture(scope="module")
def second_database(django_db_setup, django_db_blocker) -> Iterator[None]:
    """A database beside the suite's, of the same vendor, migrated, under the alias `second`."""
    with django_db_blocker.unblock():
        given = connection.settings_dict
        name = f"{given['NAME']}_second"
        if connection.vendor == "postgresql":
            _execute(f"CREATE DATABASE {name}")
        connections.settings[SECOND] = {**given, "NAME": name}
        for app in ("auth", "django_durable"):
            call_command("migrate", app, database=SECOND, verbosity=0)
        yield
        connections[SECOND].close()
        del connections[SECOND]
        del connections.settings[SECOND]
        if connection.vendor == "postgresql":
            _execute(f"DROP DATABASE {name} WITH (FORCE)")


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def second(second_database, durable_db, settings) -> Iterator[str]:
    """Have the instances in `second`, which is emptied afterwards."""
    settings.DJANGO_DURABLE = {"DATABASE": SECOND}
    yield SECOND
    models.Instance.objects.using(SECOND).all().delete()
    Group.objects.using(SECOND).all().delete()


@pytest.fixture
def client() -> Client:
    registry = Registry()

    @registry.activity("enter", atomic=True)
    def enter(ctx, name: str) -> int:
        return Group.objects.using(SECOND).create(name=f"{name} {ctx.attempt}").pk

    @registry.orchestration("entering")
    def entering(ctx, name: str):
        return (yield ctx.schedule_activity("enter", name))

    @registry.orchestration("waits")
    def waits(ctx):
        return (yield ctx.wait_for_event("go"))

    return Client(registry)


WRITES = {
    "start": lambda client: client.start_orchestration("new", "waits"),
    "raise_event": lambda client: client.raise_event("it", "go"),
    "enqueue_event": lambda client: client.enqueue_event("it", "queue", 1),
    "cancel": lambda client: client.cancel_instance("it"),
    "terminate": lambda client: client.terminate_instance("it"),
    "suspend": lambda client: client.suspend_instance("it"),
    "delete": lambda client: client.delete_instance("it", force=True),
    "fork": lambda client: client.fork_instance("it", "new"),
}


def state() -> list[object]:
    """Return what there is of instances and messages."""
    instances = models.Instance.objects.using(SECOND).order_by("id")
    messages = models.InboxMessage.objects.using(SECOND).order_by("id")
    return [*instances.values_list("instance_id", "runtime_status", "revision"), *messages.values_list("kind")]


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_what_is_asked_in_a_transaction_of_another_database_is_refused(write, second, client):
    client.start_orchestration("it", "waits")
    before = state()
    with transaction.atomic():
        Group.objects.create(name="editors")
        with pytest.raises(WrongDatabase, match="of the database 'default', and the instances are in 'second'"):
            write(client)
    assert state() == before
    assert Group.objects.get().name == "editors", "the caller's transaction is as it was"


def test_after_the_commit_of_another_database_it_is_carried_out(second, client):
    with transaction.atomic():
        transaction.on_commit(lambda: client.start_orchestration("it", "waits"))
    assert client.list_all_instances() == ["it"]


def test_a_transaction_of_each_database_says_that_they_may_commit_apart(second, client):
    with transaction.atomic():
        with transaction.atomic(using=second):
            client.start_orchestration("it", "waits")
        transaction.set_rollback(True)
    assert client.list_all_instances() == ["it"]


def test_starts_roll_back_with_a_transaction_of_the_database_that_has_the_instances(second, client):
    with transaction.atomic(using=second):
        client.start_orchestration("kept", "waits")
        with transaction.atomic(using=second):
            client.start_orchestration("dropped", "waits")
            transaction.set_rollback(True, using=second)
        client.raise_event("kept", "go")
        with pytest.raises(InstanceNotFound):
            client.raise_event("dropped", "go")
    assert client.list_all_instances() == ["kept"]


def test_reading_is_no_matter_of_transactions(second, client):
    client.start_orchestration("it", "waits")
    with transaction.atomic():
        assert client.get_status("it").runtime_status == "Pending"


def test_an_atomic_activity_commits_with_what_it_writes_there(second, client):
    client.start_orchestration("it", "entering", "editors")
    worker = Worker(client.registry)
    worker.drain()
    worker.close()
    assert client.get_status("it").output == Group.objects.using(second).get(name="editors 1").pk
    assert not models.Instance.objects.using("default").exists()
    assert not Group.objects.exists()


def test_an_atomic_activity_there_whose_task_was_taken_over_writes_nothing(second, client):
    @client.registry.activity("late", atomic=True)
    def late() -> None:
        Group.objects.using(SECOND).create(name="doubled")
        models.ActivityTask.objects.using(SECOND).update(lease_token=99)

    @client.registry.orchestration("zombie")
    def zombie(ctx):
        yield ctx.schedule_activity("late")

    client.start_orchestration("it", "zombie")
    worker = Worker(client.registry)
    worker.drain()
    worker.close()
    assert not Group.objects.using(second).exists()
    assert client.get_status("it").runtime_status == "Running"


def test_a_database_that_is_not_there_is_named_with_those_that_are(durable_db):
    with pytest.raises(WrongDatabase, match=r"There is no database 'archive' in DATABASES, expected one of 'default'"):
        Client(Registry(), using="archive").list_all_instances()


@pytest.fixture
def browser(second, monkeypatch) -> Browser:
    """A superuser's browser, where every view is in a transaction of `default`."""
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    browser = Browser()
    browser.force_login(User.objects.create_superuser("root"))
    return browser


def test_rest_and_admin_steer_instances_there_also_under_atomic_requests(browser, client):
    client.start_orchestration("it", "waits")
    found = models.Instance.objects.using(SECOND).get()
    answer = browser.post("/durable/instances/it/suspend/", {}, "application/json")
    assert answer.status_code == 202, answer.content
    answer = browser.post(reverse("admin:django_durable_instance_do", args=(found.pk, "resume")))
    assert answer.status_code == 302, answer.content
    found.refresh_from_db()
    assert found.runtime_status == "Pending"
