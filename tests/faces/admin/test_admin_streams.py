"""Streams in the admin: listed with their last items, paged, sent on, closed and trimmed, each with its right."""

from __future__ import annotations

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_durable.admin.streams import ITEMS_SHOWN
from django_durable.models import Instance
from django_durable.permissions import DurablePermissions

URL = "/admin/django_durable/instance/"


@pytest.fixture
def talk(shop):
    """Start an instance with streams; return its address."""
    shop.client.start_orchestration("talk", "shop.waits")
    shop.run()
    shop.client.send_to_stream("talk", "words", *[f"word {number}" for number in range(1, 26)], "<b>bold</b>")
    shop.client.close_stream("talk", "ended", "it is secret")
    return f"{URL}{Instance.objects.get(instance_id='talk').pk}/"


def shown(page) -> list[str]:
    assert page.status_code == 200
    return re.findall(r"word \d+", page.content.decode())


def test_streams_are_shown_with_their_last_items_as_text(boss, talk):
    page = boss.get(f"{talk}change/")
    body = page.content.decode()
    assert dict.fromkeys(shown(page)) == dict.fromkeys(f"word {number}" for number in range(18 - 1, 26))
    assert "<b>bold</b>" not in body
    assert "closed: it is secret" in body


def test_what_needs_a_stream_is_offered_where_there_is_one(boss, shop, talk):
    shop.client.start_orchestration("silent", "shop.waits")
    shop.run()
    silent = f"{URL}{Instance.objects.get(instance_id='silent').pk}/"

    def offered(address: str) -> set[str]:
        return set(re.findall(r"/do/([a-z-]*stream|send)/", boss.get(f"{address}change/").content.decode()))

    assert offered(talk) == {"send", "close-stream", "trim-stream"}
    assert offered(silent) == {"send"}


def test_rules_take_single_streams_away_also_from_who_has_the_permissions(person, talk, settings):
    settings.DJANGO_DURABLE = {"PERMISSIONS": "tests.faces.admin.test_admin_streams.NotesRules"}
    boss = person("view_instance", "view_payload", "send_to_stream")
    assert not shown(boss.get(f"{talk}change/"))
    page = boss.post(f"{talk}do/send/", {"stream": "words", "payload": "1"}, follow=True)
    assert "You may not do this" in page.content.decode()
    assert not LogEntry.objects.exists()


class NotesRules(DurablePermissions):
    """Nobody reads or sends anything but notes."""

    def can_read_stream(self, user, instance, stream):
        return stream == "notes"

    def can_send_to_stream(self, user, instance, stream):
        return stream == "notes"


def test_earlier_items_are_a_page_away(boss, talk):
    page = boss.get(f"{talk}change/")
    link = re.search(r'href="\?(stream=words&amp;below=\d+)#streams"', page.content.decode())[1].replace("&amp;", "&")
    earlier = boss.get(f"{talk}change/?{link}")
    assert list(dict.fromkeys(shown(earlier))) == [f"word {number}" for number in range(17 - ITEMS_SHOWN, 17)]
    assert "Latest items" in earlier.content.decode()


def test_without_the_right_to_payloads_only_the_names_are_shown(person, talk):
    body = person("view_instance").get(f"{talk}change/").content.decode()
    assert "words" in body
    assert "word 2" not in body
    assert "secret" not in body


def test_however_many_streams_there_are_the_page_asks_as_often(boss, talk, shop):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert boss.get(f"{talk}change/").status_code == 200
        return len(captured)

    queries()
    before = queries()
    for number in range(20):
        shop.client.send_to_stream("talk", f"more {number}", 1, 2, 3)
    assert queries() == before


@pytest.mark.parametrize(
    ("name", "right", "given", "note"),
    [
        ("send", "send_to_stream", {"stream": "words", "payload": '{"a": 1}'}, "Sent an item on “words”."),
        ("close-stream", "send_to_stream", {"stream": "words", "reason": ""}, "Closed the stream “words”."),
        ("trim-stream", "prune_instance", {"stream": "words", "keep": "2"}, "Trimmed the stream “words”."),
    ],
)
def test_each_operation_needs_its_right_and_is_logged(person, talk, shop, name, right, given, note):
    assert person("view_instance", "signal_instance").post(f"{talk}do/{name}/", given).status_code == 403
    assert len(shop.client.read_stream("talk", "words", limit=100).items) == 26
    allowed = person("view_instance", right)
    assert allowed.get(f"{talk}do/{name}/").status_code == 200
    assert allowed.post(f"{talk}do/{name}/", given).status_code == 302
    assert LogEntry.objects.get().get_change_message() == note
    page = shop.client.read_stream("talk", "words", limit=100)
    expected = {"send": (27, False), "close-stream": (26, True), "trim-stream": (2, False)}
    assert (len(page.items), page.ended) == expected[name]


def test_what_is_refused_is_said_and_not_logged(person, talk):
    boss = person("view_instance", "send_to_stream")
    page = boss.post(f"{talk}do/send/", {"stream": "ended", "payload": "1"}, follow=True)
    assert "is closed" in page.content.decode()
    assert not LogEntry.objects.exists()
