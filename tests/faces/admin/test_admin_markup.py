"""What every page keeps to: a strict content security policy, and payloads that are text."""

from __future__ import annotations

import re

import pytest

from .orders import MARKUP
from .pages import LIST, OVERVIEW, START, do, key, page

ADDRESSES = {
    "list": lambda: LIST,
    "filtered list": lambda: f"{LIST}?status=Running&q=order",
    "empty list": lambda: f"{LIST}?status=Blocked",
    "overview": lambda: OVERVIEW,
    "running": lambda: page("order-1"),
    "failed": lambda: page("broken"),
    "continued": lambda: page("continued") + "?execution=1",
    "family": lambda: page("family"),
    "long": lambda: page("long"),
    "log": lambda: f"{LIST}{key('order-1')}/history/",
    "operation": lambda: do("order-1", "event"),
    "deletion": lambda: do("order-1", "delete"),
    "start": lambda: START,
    "typed start": lambda: f"{START}?orchestration=shop.typed",
    "workers": lambda: "/admin/django_durable/worker/",
    "worker": lambda: "/admin/django_durable/worker/w/change/",
    "sessions": lambda: "/admin/django_durable/session/",
    "index": lambda: "/admin/django_durable/",
}


@pytest.fixture
def everything(shop, boss):
    from django.utils import timezone

    from django_durable.models import Session, Worker

    now = timezone.now()
    for instance_id, name, given in [
        ("order-1", "waits", {"note": MARKUP}),
        ("broken", "fails", {"note": MARKUP}),
        ("continued", "counts", {"times": 1}),
        ("family", "parent", {"children": 2}),
        ("long", "many", {"times": 60}),
        (MARKUP, "waits", None),
    ]:
        shop.client.start_orchestration(instance_id, f"shop.{name}", given)
    shop.run()
    shop.client.enqueue_event("order-1", MARKUP, MARKUP)
    boss.post(do("order-1", "event"), {"name": MARKUP, "payload": ""})
    Worker.objects.create(
        worker_id="w", host=MARKUP, pid=1, tags="{}", concurrency=1, metrics='{"a": "<b>"}', heartbeat_at=now,
        started_at=now,
    )  # fmt: skip
    Session.objects.create(session_id=MARKUP, worker_id="w", lease_until=now, last_activity_at=now)


@pytest.mark.parametrize("name", ADDRESSES)
def test_page_has_no_inline_code_and_no_inline_style(everything, boss, name):
    response = boss.get(ADDRESSES[name]())
    assert response.status_code == 200
    body = response.content.decode()

    tags = re.findall(r"<[a-zA-Z][^>]*>", body)
    assert [tag for tag in tags if re.search(r"\s(style|on[a-z]+)\s*=", tag)] == []
    assert [tag for tag in tags if re.search(r"(?i)(href|src|action)\s*=\s*[\"']?\s*(javascript|data):", tag)] == []
    assert "<style" not in body
    # Data is no code: it is not run.
    scripts = [tag for tag in tags if tag.startswith("<script")]
    assert [tag for tag in scripts if "src=" not in tag and 'type="application/json"' not in tag] == []
    outside = [tag for tag in tags if re.search(r"(src|href)=\"(https?:)?//", tag) and tag.startswith(("<s", "<l"))]
    assert outside == []


@pytest.mark.parametrize("name", ADDRESSES)
def test_markup_is_shown_as_text(everything, boss, name):
    assert MARKUP not in boss.get(ADDRESSES[name]()).content.decode()


def test_ids_of_a_page_are_its_own(everything, boss):
    for name, address in ADDRESSES.items():
        body = boss.get(address()).content.decode()
        ids = re.findall(r'\sid="([^"]+)"', body.partition('id="content"')[2])
        assert len(ids) == len(set(ids)), (name, sorted(each for each in ids if ids.count(each) > 1))
