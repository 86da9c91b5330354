"""Requests in the admin: the list, and the form of the answer."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import CHANGE

from .orders import MARKUP
from .pages import logged, said, text

REQUESTS = "/admin/django_durable/promise/"
FITTING = {"answer-approved": "true", "answer-comment": "fine", "answer-limit": "5", "answer-due": "2026-01-31"}


@pytest.fixture
def asked(shop) -> str:
    """Start `one`, which asks; return the address of the page of its request."""
    shop.client.start_orchestration("one", "shop.asks")
    shop.run()
    return f"{REQUESTS}{shop.client.list_requests()[0].id}/change/"


def rows(client, query: str = "") -> list[str]:
    response = client.get(f"{REQUESTS}?{query}")
    return [each.instance.instance_id for each in response.context["cl"].result_list]


def test_the_list_shows_what_is_open_and_all_of_it_on_demand(shop, boss, asked):
    assert f"Ship {MARKUP}?" in text(boss.get(REQUESTS))
    assert MARKUP not in boss.get(REQUESTS).content.decode()
    assert rows(boss) == ["one"]
    shop.client.terminate_instance("one")
    assert rows(boss) == []
    assert rows(boss, "state=all") == ["one"]
    assert "Abandoned" in text(boss.get(f"{REQUESTS}?state=all"))


def test_the_list_is_filtered_by_assignee_and_searched_by_instance_and_name(shop, boss, admin_user):
    for key, assignee in [("mine", admin_user.username), ("hers", "ada"), ("free", None)]:
        shop.client.start_orchestration(key, "shop.asks", {"assignee": assignee})
    shop.run()
    assert rows(boss, f"assignee={admin_user.username}") == ["mine"]
    assert rows(boss, "assignee=ada") == ["hers"]
    assert rows(boss, "assignee=-") == ["free"]
    assert rows(boss, "q=hers") == ["hers"]
    assert rows(boss, "q=shipping") == ["free", "hers", "mine"]
    assert rows(boss, "q=her") == rows(boss, "assignee=%00") == []


def test_the_form_is_made_of_the_type_of_the_answer(boss, asked):
    form = boss.get(asked).context["form"]
    assert {name: type(field).__name__ for name, field in form.fields.items()} == {
        "answer-approved": "TypedChoiceField",
        "answer-comment": "CharField",
        "answer-limit": "IntegerField",
        "answer-due": "DateField",
    }


def test_an_answer_is_given_once_logged_and_gets_to_the_code(shop, boss, asked):
    response = boss.post(asked, FITTING, follow=True)
    assert response.redirect_chain[0][0] == REQUESTS
    assert said(response) == ["The request was answered."]
    assert logged()[0][1:] == (CHANGE, "Answered.")
    again = boss.post(asked, FITTING)
    assert said(again) == ["This request can no longer be answered."]
    shop.run()
    assert shop.client.get_output("one") == [True, "fine", 5, "2026-01-31"]
    assert "By admin" in text(boss.get(asked))


def test_what_does_not_fit_is_told_at_its_field_and_the_question_stays(shop, boss, asked):
    response = boss.post(asked, {**FITTING, "answer-approved": "", "answer-limit": "many"})
    assert set(response.context["form"].errors) == {"answer-approved", "answer-limit"}
    assert rows(boss) == ["one"]


def test_members_left_empty_are_left_out(shop, boss, asked):
    boss.post(asked, {"answer-approved": "false", "answer-comment": "no"})
    shop.run()
    assert shop.client.get_output("one") == [False, "no", None, "None"]


def test_an_answer_that_came_too_late_is_told(shop, boss, asked, monkeypatch):
    from django_durable.admin import requests

    first = shop.client.list_requests()[0].promise_id
    monkeypatch.setattr(requests, "outcome_of", lambda promise: "Open")
    shop.client.fail_promise("one", first, "no", by="ada")
    assert "was failed by ada already" in text(boss.post(asked, FITTING))


def test_one_value_and_any_value_have_one_field(shop, boss):
    shop.client.start_orchestration("two", "shop.asks_plainly")
    for kind, given, wrong in [("IntegerField", "7", "x"), ("JsonField", '{"a": [1]}', "{")]:
        shop.run()
        [asked] = shop.client.list_requests(instance_id="two")
        address = f"{REQUESTS}{asked.id}/change/"
        assert type(boss.get(address).context["form"].fields["answer"]).__name__ == kind
        assert "answer" in boss.post(address, {"answer": wrong}).context["form"].errors
        boss.post(address, {"answer": given})
    shop.run()
    assert shop.client.get_output("two") == [7, {"a": [1]}]


@pytest.mark.parametrize(
    ("rights", "seen", "answered"),
    [
        ((), 403, 403),
        (("view_instance",), 403, 403),
        (("view_promise", "view_instance"), 200, 403),
        (("answer_promise",), 200, 302),
    ],
)
def test_rights_are_closed(person, asked, rights, seen, answered):
    somebody = person(*rights)
    assert somebody.get(REQUESTS).status_code == seen
    response = somebody.get(asked)
    assert response.status_code == seen
    if seen == 200:
        assert (response.context["form"] is not None) == (answered == 302)
    assert somebody.post(asked, FITTING).status_code == answered


@pytest.mark.parametrize("key", ["0", "x", "9" * 40, "-1"])
def test_a_request_that_is_not_there_leads_back(boss, key):
    assert boss.get(f"{REQUESTS}{key}/change/").status_code == 302


def test_a_page_of_the_list_costs_a_constant_number_of_queries(shop, boss, asked, django_assert_num_queries):
    for number in range(9):
        shop.client.start_orchestration(f"more-{number}", "shop.asks")
    shop.run()
    boss.get(REQUESTS)
    with django_assert_num_queries(3):  # The session, the user, the page.
        boss.get(REQUESTS)
