"""The page of one instance."""

from __future__ import annotations

import re

from django.db import connection
from django.test.utils import CaptureQueriesContext

from .orders import MARKUP
from .pages import LIST, key, page, text


def start(shop, instance_id: str, orchestration: str, input=None) -> None:
    shop.client.start_orchestration(instance_id, orchestration, input)
    shop.run()


def test_page_says_what_the_instance_waits_for(shop, boss):
    start(shop, "order-1", "shop.waits")
    said = text(boss.get(page("order-1")))
    assert "due in 24 h" in said
    assert "event go Raise event" in said
    assert "queue orders Enqueue" in said
    assert f"{page('order-1').removesuffix('change/')}do/event/?name=go" in boss.get(page("order-1")).content.decode()


def test_page_calls_a_promise_a_promise_and_offers_no_queue_for_it(shop, boss):
    start(shop, "order-1", "shop.asks")
    said = text(boss.get(page("order-1")))
    assert "promise shipping" in said
    assert "queue shipping" not in said


def test_page_says_which_attempt_an_activity_waits_for_and_what_failed_before(shop, boss):
    start(shop, "order-1", "shop.charges", {"order_id": 7})
    said = text(boss.get(page("order-1")))
    assert "activity charge attempt 2, next try in 60 min failed before: OSError" in said


def test_timeline_marks_the_attempts_that_failed(shop, boss):
    start(shop, "order-1", "shop.charges", {"order_id": 7})
    assert boss.get(page("order-1")).content.decode().count('<rect class="durable-attempt"') == 1
    shop.advance(minutes=61)
    shop.run()
    assert boss.get(page("order-1")).content.decode().count('<rect class="durable-attempt"') == 2


def test_page_links_children_it_waits_for_and_shows_the_tree(shop, boss):
    start(shop, "family", "shop.parent", {"children": 2})
    response = boss.get(page("family"))
    assert f'<a href="{page("family-1")}">family-1</a>' in response.content.decode()
    assert "child family-0 shop.waits" in text(response)
    below = text(boss.get(page("family-0")))
    assert "Tree ◐ Running family shop.parent" in below
    assert "child of family" in below


def test_delayed_start_says_when_it_is_due(shop, boss):
    shop.client.start_orchestration("later", "shop.waits", delay=3_600_000 * 5)
    assert "in 5 h" in text(boss.get(page("later")))


def test_timeline_has_a_focusable_bar_with_a_title_for_each_thing_that_took_time(shop, boss):
    start(shop, "order-1", "shop.waits")
    body = boss.get(page("order-1")).content.decode()
    titles = re.findall(r'<a href="#e\d+" aria-label="([^"]+)"[^>]*><title>([^<]+)</title>', body)
    assert len(titles) == 4
    assert all(label == title for label, title in titles)
    assert [title.partition(",")[0] for _, title in titles] == ["shop.reserve", "go", "orders", "timer"]
    assert " style=" not in body.partition('id="content-main"')[2]


def test_long_histories_are_grouped_and_the_table_is_paged(shop, boss):
    start(shop, "long", "shop.many", {"times": 120})
    response = boss.get(page("long"))
    body = response.content.decode()
    assert body.count("<rect") < 80
    assert "shop.reserve \N{MULTIPLICATION SIGN}120" in body
    assert body.count('<tr id="e') == 100
    earlier = boss.get(f"{page('long')}?execution=1&before={response.context['before']}")
    assert earlier.content.decode().count('<tr id="e') == 100
    assert earlier.context["lines"][-1].seq == response.context["lines"][0].seq - 1
    assert 'href="?execution=1&amp;before=3#e2"' in body, "a bar leads to the page of the table that has its event"


def test_payloads_are_escaped_text(shop, boss):
    start(shop, "order-1", "shop.waits", {"note": MARKUP})
    shop.client.enqueue_event("order-1", "other", {MARKUP: MARKUP})
    start(shop, "order-2", "shop.fails", {"note": MARKUP})
    for instance_id in ("order-1", "order-2"):
        body = boss.get(page(instance_id)).content.decode()
        assert "<script>alert" not in body
        assert "&lt;script&gt;alert" in body


def test_failed_instance_shows_its_error_with_traceback(shop, boss):
    start(shop, "order-1", "shop.fails")
    said = text(boss.get(page("order-1")))
    assert "ValueError broken on purpose Traceback Traceback (most recent call last)" in said
    assert "data-refresh" not in boss.get(page("order-1")).content.decode()


def test_long_payloads_are_cut(shop, boss):
    start(shop, "order-1", "shop.waits", {"note": "x" * 100_000})
    response = boss.get(page("order-1"))
    assert "Only the beginning of 100,0" in text(response)
    assert len(response.content) < 120_000


def test_payloads_need_their_own_permission(shop, person):
    start(shop, "order-1", "shop.waits", {"note": "secret-input"})
    shop.client.enqueue_event("order-1", "other", "secret-message")
    start(shop, "order-2", "shop.fails", {"note": "secret-error"})
    viewer = person("view_instance")
    from django_durable.models import Instance

    Instance.objects.update(custom_status=None)  # Published on purpose: whoever sees the list sees it.
    for instance_id in ("order-1", "order-2"):
        said = viewer.get(page(instance_id)).content.decode()
        assert "secret" not in said
    assert "ValueError" in text(viewer.get(page("order-2")))
    trusted = person("view_instance", "view_payload")
    assert "secret-input" in text(trusted.get(page("order-1")))
    assert "secret-message" in text(trusted.get(page("order-1")))
    assert "secret-error" in text(trusted.get(page("order-2")))


def test_older_executions_are_listed_and_shown(shop, boss):
    start(shop, "order-1", "shop.counts", {"times": 2})
    assert "3 ✓ Completed 1.0.0" in text(boss.get(page("order-1")))
    older = text(boss.get(f"{page('order-1')}?execution=1"))
    assert "Shown is execution 1; the current one is 3." in older
    assert "OrchestrationContinuedAsNew" in older
    assert boss.get(f"{page('order-1')}?execution=99").context["is_current"]
    assert boss.get(f"{page('order-1')}?execution=x&before=y").status_code == 200


def test_query_count_does_not_depend_on_history_or_children(shop, boss):
    def queries(instance_id: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert boss.get(page(instance_id)).status_code == 200
        return len(captured)

    start(shop, "small", "shop.many", {"times": 1})
    start(shop, "large", "shop.many", {"times": 200})
    start(shop, "family", "shop.parent", {"children": 10})
    queries("small")
    assert queries("small") == queries("large") == queries("family") <= 13


def test_page_refreshes_while_the_instance_lives_without_inline_code(shop, boss):
    start(shop, "order-1", "shop.waits")
    body = boss.get(page("order-1")).content.decode()
    assert 'data-refresh="3"' in body
    assert '<noscript><meta http-equiv="refresh"' in body
    assert '<script src="/static/django_durable/admin.js"></script>' in body
    assert not re.search(r"\son\w+=", body)


def test_unknown_instance_leads_back_to_the_admin(boss):
    response = boss.get(f"{LIST}987654/change/")
    assert response.status_code == 302
    assert boss.get(f"{LIST}nonsense/change/").status_code == 302


def test_blocked_instance_says_why(shop, boss):
    from django_durable.models import Instance

    shop.client.start_orchestration("gone", "shop.waits")
    Instance.objects.update(orchestration="shop.gone")
    from django_durable.models import InboxMessage

    InboxMessage.objects.update(name="shop.gone")
    shop.run()
    assert Instance.objects.get().runtime_status == "Blocked"
    said = text(boss.get(page("gone")))
    assert "! Blocked" in said
    assert "No orchestration 'shop.gone'" in said


def test_every_action_is_in_the_log_of_the_page(shop, boss):
    start(shop, "order-1", "shop.waits")
    boss.post(f"{LIST}{key('order-1')}/do/suspend/")
    assert "Suspended." in text(boss.get(f"{LIST}{key('order-1')}/history/"))
