"""Workers, sessions, the overview, and that the app needs no admin."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from .pages import OVERVIEW, text

ROOT = Path(__file__).parents[3]


def test_overview_counts_what_there_is(shop, boss):
    for number in range(2):
        shop.client.start_orchestration(f"broken-{number}", "shop.fails")
    shop.client.start_orchestration("waits", "shop.waits")
    shop.run()
    shop.client.start_orchestration("new", "shop.waits")
    context = boss.get(OVERVIEW).context
    counts = {status: count for status, _, count, more in context["statuses"] if count != "0"}
    assert counts == {"Pending": "1", "Running": "1", "Failed": "2"}
    assert (context["failed"], context["ended_total"]) == (2, 2)


def test_overview_says_where_it_stopped_counting(shop, boss, monkeypatch):
    from django_durable.admin import overview as page
    from django_durable.store import overview

    for module in (overview, page):
        monkeypatch.setattr(module, "COUNTED", 1)
    for number in range(2):
        shop.client.start_orchestration(f"new-{number}", "shop.waits")
    assert "1 or more ○ Pending" in text(boss.get(OVERVIEW))


def test_overview_shows_the_oldest_task_of_each_tag_and_expired_leases(shop, boss):
    from django_durable.models import ActivityTask, Instance

    shop.client.start_orchestration("charges", "shop.charges", {"order_id": 1})
    shop.run()
    past = timezone.now() - timedelta(minutes=7)
    ActivityTask.objects.update(tag="gpu", visible_at=past, lease_owner="dead")
    Instance.objects.update(lease_owner="dead", lease_until=past)
    response = boss.get(OVERVIEW)
    assert "gpu 1 7 min 0 s" in text(response)
    ActivityTask.objects.update(tag="")
    assert "default 1 7 min" in text(boss.get(OVERVIEW))
    assert (response.context["expired_instances"], response.context["expired_tasks"]) == (1, 1)


def test_overview_query_count_does_not_grow(shop, boss):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert boss.get(OVERVIEW).status_code == 200
        return len(captured)

    queries()
    few = queries()
    for number in range(10):
        shop.client.start_orchestration(f"order-{number}", "shop.waits")
    shop.run()
    assert queries() == few <= 10


def test_overview_shows_workers_only_to_those_who_may_see_them(person):
    assert "No worker runs." not in text(person("view_instance").get(OVERVIEW))
    assert "No worker runs." in text(person("view_instance", "view_worker").get(OVERVIEW))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, "Alive"), ({"stopping": True}, "Stopping"), ({"heartbeat_at": datetime(2026, 1, 1, tzinfo=UTC)}, "Silent")],
)
def test_worker_list_tells_the_state_of_each(boss, db, changes, expected):
    from django_durable.models import Worker

    now = timezone.now()
    tags = '{"any": false, "untagged": true, "tags": ["gpu"]}'
    given = {"heartbeat_at": now, "started_at": now, **changes}
    given |= {"tags": tags, "concurrency": 8, "metrics": '{"turns": 3}'}
    Worker.objects.create(worker_id="w:1", host="here", pid=7, **given)
    said = text(boss.get("/admin/django_durable/worker/"))
    assert f"{expected} w:1 here:7 default, gpu 8" in said
    page = boss.get("/admin/django_durable/worker/w_3A1/change/")
    assert "3 turns" in text(page)


def test_sessions_are_listed(boss, db):
    from django_durable.models import Session

    now = timezone.now()
    until = now + timedelta(minutes=1)
    Session.objects.create(session_id="s<1>", worker_id="w", lease_until=until, last_activity_at=now)
    assert "Owned s<1> w in 60 s" in text(boss.get("/admin/django_durable/session/"))


def test_app_index_links_the_overview(boss, person):
    assert OVERVIEW in boss.get("/admin/django_durable/").content.decode()
    assert OVERVIEW not in person("view_worker").get("/admin/django_durable/").content.decode()


def test_app_loads_without_the_admin():
    code = (
        "import sys; from django.conf import settings; import django;"
        "databases = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}};"
        "settings.configure(INSTALLED_APPS=['django_durable'], DATABASES=databases, USE_TZ=True);"
        "django.setup(); from django.core.management import call_command; call_command('check');"
        "assert 'django_durable.admin' not in sys.modules, 'imported'"
    )
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=environment, timeout=60)
