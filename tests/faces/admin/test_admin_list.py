"""The list of instances."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from .orders import registry
from .pages import LIST, key, page, text


def listed(response) -> list[str]:
    return [row.instance_id for row in response.context["cl"].result_list]


def start(shop, *instance_ids: str, orchestration: str = "shop.waits", input=None) -> None:
    for instance_id in instance_ids:
        shop.client.start_orchestration(instance_id, orchestration, input)


def test_list_shows_status_orchestration_and_custom_status_with_a_progress_bar(shop, boss):
    start(shop, "order-1")
    shop.run()
    response = boss.get(LIST)
    assert '<progress value="0.2500" max="1" aria-label="Progress">25%</progress>' in response.content.decode()
    assert "Running order-1 waits 1.0.0 25% 25% waiting" in text(response)


def test_list_shows_parents_and_queued_events(shop, boss):
    start(shop, "family", orchestration="shop.parent")
    shop.run()
    shop.client.enqueue_event("family", "unread", 1)
    shop.client.enqueue_event("family", "unread", 2)
    response = boss.get(LIST)
    assert f'<a href="{page("family")}" title="family">family</a>' in response.content.decode()
    assert "2 queued events" in text(response)


@pytest.mark.parametrize("custom_status", ['"plain"', "3", "[1]", '{"progress": 2}', '{"progress": "x"}', "{broken"])
def test_custom_status_without_progress_from_0_to_1_is_shown_as_text(shop, boss, custom_status):
    start(shop, "order-1")
    from django_durable.models import Instance

    Instance.objects.update(custom_status=custom_status)
    response = boss.get(LIST)
    assert response.status_code == 200
    assert "<progress" not in response.content.decode()


def test_markup_in_ids_and_custom_status_is_escaped(shop, boss):
    start(shop, "<i>id</i>", input={"note": "<b>note</b>"})
    shop.run()
    body = boss.get(LIST).content.decode()
    assert "<i>id</i>" not in body
    assert "<b>note</b>" not in body
    assert "&lt;b&gt;note&lt;/b&gt;" in body


def test_query_count_does_not_grow_with_rows_and_nothing_is_counted(shop, boss):
    def queries() -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            assert boss.get(LIST).status_code == 200
        return [query["sql"] for query in captured]

    start(shop, "family", orchestration="shop.parent")
    shop.run()
    queries()
    few = queries()
    start(shop, *(f"order-{number}" for number in range(20)))
    start(shop, "large", orchestration="shop.parent", input={"children": 5})
    shop.run()
    many = queries()
    assert len(many) == len(few) <= 5
    counting = [sql for sql in many if "COUNT(" in sql and "queuedevent" not in sql]
    assert counting == []


def test_pages_are_walked_by_key_in_both_directions(shop, boss, monkeypatch):
    from django_durable.admin import InstanceAdmin

    monkeypatch.setattr(InstanceAdmin, "list_per_page", 2)
    start(shop, *"abcde")
    first = boss.get(LIST)
    assert listed(first) == ["e", "d"]
    assert first.context["cl"].newer is None
    second = boss.get(LIST + first.context["cl"].older)
    assert listed(second) == ["c", "b"]
    last = boss.get(LIST + second.context["cl"].older)
    assert listed(last) == ["a"]
    assert last.context["cl"].older is None
    assert listed(boss.get(LIST + last.context["cl"].newer)) == ["c", "b"]
    back = boss.get(LIST + second.context["cl"].newer)
    assert listed(back) == ["e", "d"]
    assert back.context["cl"].newer is None


def test_pages_keep_filters_and_filters_leave_the_page(shop, boss, monkeypatch):
    from django_durable.admin import InstanceAdmin

    monkeypatch.setattr(InstanceAdmin, "list_per_page", 1)
    start(shop, "a", "b")
    change_list = boss.get(f"{LIST}?status=Pending&older={key('b')}").context["cl"]
    assert [row.instance_id for row in change_list.result_list] == ["a"]
    assert change_list.newer == f"?newer={key('a')}&status=Pending"
    assert change_list.get_query_string({"status": "Running"}) == "?status=Running"


@pytest.mark.parametrize("place", ["older=x", "newer=-1", "older=99999999999999999999", "p=7", "all="])
def test_places_that_cannot_be_are_ignored(shop, boss, place):
    start(shop, "a")
    assert listed(boss.get(f"{LIST}?{place}", follow=True)) == ["a"]


def test_filters_choose_by_status_orchestration_parent_and_trouble(shop, boss):
    start(shop, "family", orchestration="shop.parent")
    start(shop, "broken", orchestration="shop.fails")
    shop.run()
    start(shop, "new")
    assert listed(boss.get(f"{LIST}?status=Failed")) == ["broken"]
    assert listed(boss.get(f"{LIST}?orchestration=shop.parent")) == ["family"]
    assert listed(boss.get(f"{LIST}?parent=yes")) == ["family-0"]
    assert listed(boss.get(f"{LIST}?parent=no")) == ["new", "broken", "family"]
    assert listed(boss.get(f"{LIST}?created=1h")) == ["new", "family-0", "broken", "family"]
    assert listed(boss.get(f"{LIST}?stuck=blocked")) == []
    assert listed(boss.get(f"{LIST}?stuck=lease")) == []


def test_orchestration_filter_offers_registered_names_without_reading_the_table(shop, boss):
    response = boss.get(LIST)
    spec = next(each for each in response.context["cl"].filter_specs if each.parameter_name == "orchestration")
    assert sorted(name for name, _ in spec.lookup_choices) == registry.names


def test_version_filter_offers_the_versions_of_the_orchestration_that_is_chosen(shop, boss):
    def offered(query: str) -> list[str]:
        specs = boss.get(f"{LIST}{query}").context["cl"].filter_specs
        return [name for each in specs if each.parameter_name == "version" for name, _ in each.lookup_choices]

    shop.client.start_orchestration_versioned("old", "shop.checkout", {"order_id": 1}, "1.0.0")
    start(shop, "new", orchestration="shop.checkout", input={"order_id": 1})
    assert offered("") == []
    assert offered("?orchestration=shop.checkout") == ["1.1.0", "1.0.0"]
    assert offered("?orchestration=shop.gone&version=7") == ["7"]
    assert listed(boss.get(f"{LIST}?orchestration=shop.checkout&version=1.0.0")) == ["old"]


def test_filters_offer_their_choices_without_a_query(shop, boss):
    start(shop, "a", orchestration="shop.checkout", input={"order_id": 1})
    with CaptureQueriesContext(connection) as captured:
        boss.get(f"{LIST}?orchestration=shop.checkout")
    assert not [query["sql"] for query in captured if "DISTINCT" in query["sql"]]


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("order-1", ["order-12", "order-1"]),
        ("Order", []),
        ("rder", []),
        ("100%", ["100%"]),
        (" order-12 ", ["order-12"]),
    ],
)
def test_search_is_by_the_beginning_of_the_id(shop, boss, term, expected):
    start(shop, "order-1", "order-12", "100%", "1000")
    assert listed(boss.get(LIST, {"q": term})) == expected


def test_nothing_can_be_added_or_edited(shop, boss):
    start(shop, "a")
    assert boss.get(f"{LIST}add/").status_code == 403
    assert boss.post(page("a"), {"runtime_status": "Completed"}).status_code == 403
    assert boss.post(f"{LIST}{key('a')}/delete/", {"post": "yes"}).status_code == 403
    assert "delete_selected" not in boss.get(LIST).content.decode()


def test_empty_list_says_so(boss):
    assert "There are no instances yet." in text(boss.get(LIST))
    assert "No instance matches." in text(boss.get(f"{LIST}?status=Failed"))
