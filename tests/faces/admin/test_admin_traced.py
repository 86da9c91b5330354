"""What the admin shows of what was traced, and the same as JSON lines."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from django.core.management import call_command

from django_durable import Registry, RetryPolicy
from django_durable.client.viewing import client as viewing
from django_durable.redaction import HIDDEN, hide_secrets  # noqa: F401 - the hook of a test below
from django_durable.testing import Durable
from django_durable.tracing import span

from .orders import MARKUP
from .pages import page, text


@pytest.fixture
def traced(db, settings, monkeypatch):
    """Run an order that traces what it does, and fails once on the way."""
    settings.DJANGO_DURABLE = {"TRACING": ["database"]}
    registry = Registry()
    monkeypatch.setattr(viewing, "registry", registry)
    tries = []

    @registry.activity("shop.weigh", retry=RetryPolicy(max_attempts=2, initial=timedelta(seconds=3), jitter=0))
    def weigh(ctx, grams: int) -> int:
        tries.append(grams)
        with span("scales", password="tiger") as scales:
            ctx.logger.info("Put %d g on it.", grams)
            if len(tries) == 1:
                raise ConnectionError(MARKUP)
            scales.record(shown=grams)
        return grams

    @registry.orchestration("shop.order")
    def order(ctx, grams: int):
        ctx.logger.info("An order of %d g.", grams)
        with span("packing", grams=grams) as packing:
            yield ctx.schedule_activity(weigh, grams)
            with span("label"):
                yield ctx.schedule_timer(2000)
            packing.add_event("sealed", by="Ada")
        with span("waiting for the courier"):
            yield ctx.wait_for_event("courier")

    harness = Durable(registry)
    harness.client.start_orchestration("order-1", "shop.order", 500)
    harness.run_to_the_end()
    yield harness
    harness.close()


def test_the_timeline_has_the_spans_and_the_failed_attempt_of_a_completed_activity(traced, boss):
    body = boss.get(page("order-1")).content.decode()
    assert re.search(r'href="#s-s1" aria-label="packing, done, 5(\.\d)? s"', body)
    assert 'aria-label="waiting for the courier, open' in body
    assert 'class="durable-lane-turn"' in body
    assert body.count('<rect class="durable-attempt"') == 1


def test_the_table_nests_spans_and_tells_what_they_say(traced, boss):
    response = boss.get(page("order-1"))
    body, said = response.content.decode(), text(response)
    rows = {row.id: row for row in response.context["traced"]}
    assert {name: row.depth for name, row in rows.items() if row.kind != "turn"} == {
        "s1": 0,
        "s2": 1,
        "s3": 0,
        "a2.1": 0,
        "a2.1.1": 1,
        "a2.2": 0,
        "a2.2.1": 1,
    }
    assert "An order of 500 g." in said
    assert "Put 500 g on it." in said
    assert MARKUP not in body
    assert "ConnectionError: &lt;script&gt;" in body


def test_who_may_not_see_payloads_sees_no_attributes_and_no_messages(traced, person):
    said = text(person("view_instance").get(page("order-1")))
    assert "packing" in said
    for secret in ("500 g", "ConnectionError", "tiger", "Ada"):
        assert secret not in said


def test_the_redact_hook_is_asked_about_spans(traced, boss, settings):
    settings.DJANGO_DURABLE = {"TRACING": ["database"], "REDACT": f"{__name__}.hide_secrets"}
    said = text(boss.get(page("order-1")))
    assert "tiger" not in said
    assert HIDDEN in said
    shown = {each.name: each.attributes for each in viewing.read_spans("order-1")}
    assert shown["scales"] == {"password": HIDDEN, "shown": 500}


def test_an_instance_without_spans_has_no_table_of_them(shop, boss):
    shop.client.start_orchestration("order-2", "shop.waits")
    shop.run()
    assert "h-spans" not in boss.get(page("order-2")).content.decode()


def test_json_lines_hold_every_span_with_its_parent(traced, capsys):
    call_command("durable_export", "order-1", "--trace", verbosity=0)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    events = [event for line in lines for event in line["events"]]
    starts = {each["span_id"]: each for each in events if each["type"] == "span.start"}
    ended = {each["span_id"] for each in events if each["type"] == "span.end"}
    assert {line["type"] for line in lines} == {"trace"}
    assert len({line["metadata"]["trace.id"] for line in lines}) == 1
    tree = {each["name"]: starts.get(each.get("parent_span_id"), {}).get("name") for each in starts.values()}
    assert tree == {
        "order-1 #1": None,
        "shop.order": "order-1 #1",
        "shop.weigh": "shop.weigh",  # Its attempts are in the activity.
        "timer": "order-1 #1",
        "courier": "order-1 #1",
        "packing": "order-1 #1",
        "label": "packing",
        "scales": "shop.weigh",
        "waiting for the courier": "order-1 #1",
    }
    open_ones = {each["name"] for span_id, each in starts.items() if span_id not in ended}
    assert open_ones == {"order-1 #1", "courier", "waiting for the courier"}
    assert [each["ts"] for each in events] == sorted(each["ts"] for each in events)
    logs = [each["attributes"]["message"] for each in events if each["type"] == "event" and each["kind"] == "log"]
    assert logs == ["An order of 500 g.", "Put 500 g on it.", "Put 500 g on it."]
