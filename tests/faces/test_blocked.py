"""Code that changed under open instances: seen on every face, and theirs alone until it fits again."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client as Browser
from django.urls import reverse

from django_durable.api.views.base import DurableView
from django_durable.client import Client
from django_durable.client.viewing import ViewingClient
from django_durable.models import Instance
from django_durable.registry import Registry
from django_durable.testing import Durable

pytestmark = pytest.mark.django_db


def release(*names: str) -> Registry:
    """Return what is deployed: a checkout that runs these activities after its approval was asked for."""
    registry = Registry()
    for each in ("charge", "reserve"):
        registry.activity(each)(_nothing)

    @registry.orchestration("checkout")
    def checkout(ctx):
        for name in names:
            yield ctx.schedule_activity(name)
        return (yield ctx.wait_for_event("shipped"))

    @registry.orchestration("bystander")
    def bystander(ctx):
        return (yield ctx.wait_for_event("shipped"))

    return registry


def _nothing() -> None:
    pass


def run(registry: Registry) -> None:
    harness = Durable(registry)
    harness.run()
    harness.close()


@pytest.fixture
def blocked(monkeypatch) -> Client:
    """Two orders that were charged, and then a release that would have reserved first; and a bystander."""
    old = Client(release("charge"))
    monkeypatch.setattr(DurableView, "client", ViewingClient(old.registry))
    for key, name in (("order-1", "checkout"), ("order-2", "checkout"), ("other", "bystander")):
        old.start_orchestration(key, name)
    run(old.registry)
    for key in ("order-1", "order-2", "other"):
        old.raise_event(key, "shipped", key)
    run(release("reserve", "charge"))
    return old


@pytest.fixture
def browser() -> Browser:
    browser = Browser()
    browser.force_login(User.objects.create_superuser("root"))
    return browser


def test_the_difference_is_in_the_status_in_rest_in_the_admin_and_on_the_command_line(blocked, browser, capsys):
    parts = ("recorded ", "ActivityScheduled", "'charge'", "'reserve'")
    said = {"status": blocked.get_status("order-1").blocked_reason.message}
    answer = browser.get("/durable/instances/order-1/status/").json()
    assert answer["runtime_status"] == "Blocked"
    said["rest"] = answer["blocked_reason"]["message"]
    pk = Instance.objects.get(instance_id="order-1").pk
    page = browser.get(reverse("admin:django_durable_instance_change", args=(pk,))).content.decode()
    said["admin"] = page.replace("&#x27;", "'")
    call_command("durable_inspect", "order-1")
    said["command"] = capsys.readouterr().out
    missing = {(face, part) for face, text in said.items() for part in parts if part not in text}
    assert not missing, json.dumps(said, indent=1)[:3000]


def test_others_never_notice(blocked):
    assert blocked.get_status("other").output == "other"


def test_it_is_canceled_meanwhile_or_goes_on_where_it_was_after_the_fix(blocked):
    blocked.cancel_instance("order-2", "the customer cannot wait")
    assert blocked.get_status("order-2").runtime_status == "Canceled"
    blocked.resume_instance("order-1")
    run(blocked.registry)
    status = blocked.get_status("order-1")
    assert (status.runtime_status, status.output, status.blocked_reason) == ("Completed", "order-1", None)
    charged = [each for each in blocked.read_execution_history("order-1") if each.kind == "ActivityCompleted"]
    assert len(charged) == 1
