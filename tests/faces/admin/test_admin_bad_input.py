"""Whatever is sent to the admin, its answer says what is wrong or shows nothing, and the next page is shown."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from .pages import LIST, OVERVIEW, START, do, key, logged, page, status, text

HUGE = "9" * 30
BAD = ["%00", "%ED%A0%80", "%FF", "-1", HUGE, "x" * 5_000, "%27%22%3Cscript%3E", ""]
NAMES = [
    "status", "orchestration", "version", "created", "parent", "stuck", "q", "older", "newer", "p", "o", "e", "all",
    "_facets", "_popup", "_to_field", "unknown", "instance_id__startswith", "parent__custom_status__regex",
    "lease_owner", "runtime_status__in", "id__in",
]  # fmt: skip


@pytest.fixture
def order(shop, boss) -> str:
    shop.client.start_orchestration("order-1", "shop.waits")
    shop.run()
    return "order-1"


def answered(boss, response) -> None:
    """Hold a response to what a person can read: a page, a redirect, or a refusal."""
    assert response.status_code in (200, 302, 400, 403, 404), response
    assert boss.get(LIST).status_code == 200


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", BAD)
def test_query_parameters_of_the_list_can_be_anything(order, boss, name, value):
    answered(boss, boss.get(f"{LIST}?{name}={value}", follow=True))


@pytest.mark.parametrize("listed", ["instance", "promise", "worker", "session"])
def test_a_filter_that_there_is_not_leads_to_the_whole_list_and_says_so(order, boss, listed):
    address = f"/admin/django_durable/{listed}/"
    response = boss.get(f"{address}?colour=red", follow=True)

    assert response.redirect_chain == [(f"{address}?e=1", 302)]
    assert "There is no filter “colour”. The whole list is shown." in text(response)


@pytest.mark.parametrize(
    "lookup", ["lease_owner", "parent__custom_status__regex", "executions__input__contains", "pk__gt"]
)
def test_a_filter_by_a_column_that_is_none_of_the_lists_is_refused(order, boss, lookup):
    assert boss.get(f"{LIST}?{lookup}=x").status_code == 400


@pytest.mark.parametrize("name", ["execution", "before", "unknown"])
@pytest.mark.parametrize("value", BAD)
def test_query_parameters_of_an_instance_can_be_anything(order, boss, name, value):
    answered(boss, boss.get(f"{page(order)}?{name}={value}"))


@pytest.mark.parametrize("name", ["orchestration", "version"])
@pytest.mark.parametrize("value", BAD)
def test_query_parameters_of_a_start_can_be_anything(boss, name, value):
    answered(boss, boss.get(f"{START}?orchestration=shop.waits&{name}={value}"))
    answered(boss, boss.get(f"{OVERVIEW}?{name}={value}"))


@pytest.mark.parametrize("forged", ["0", "-1", HUGE, "abc", "1.5", quote("\x00"), "_00", "_", "..", "%ED%A0%80"])
@pytest.mark.parametrize("rest", ["change/", "history/", "delete/", "do/cancel/", "do/nonsense/", ""])
def test_keys_that_are_made_up_lead_nowhere(order, boss, forged, rest):
    for method in (boss.get, boss.post):
        answered(boss, method(f"{LIST}{forged}/{rest}"))
    assert status(order) == "Running"
    assert logged() == []


@pytest.mark.parametrize("forged", ["0", "-1", HUGE, "abc", "1.5", "\x00", "\ud800".encode("utf-8", "surrogatepass")])
def test_actions_on_made_up_keys_do_nothing(order, boss, forged):
    for action in ("cancel_instances", "delete_selected", "nonsense", "", "\x00"):
        given = {"action": action, "_selected_action": [forged], "index": "0", "confirmed": "yes", "reason": ""}
        answered(boss, boss.post(LIST, given))
        answered(boss, boss.post(LIST, given | {"select_across": "0", "index": "7"}))
    assert status(order) == "Running"
    assert logged() == []


@pytest.mark.parametrize(
    ("operation", "given"),
    [
        ("event", {"name": "a\x00"}),
        ("event", {"name": "x" * 256}),
        ("event", {"name": ""}),
        ("event", {"name": "go", "payload": "{"}),
        ("event", {"name": "go", "payload": "[" * 100_000}),
        ("event", {"name": "go", "payload": '"\\ud800"'}),
        ("event", {"name": "go", "payload": "NaN"}),
        ("event", {"name": "go", "payload": "9" * 5_000}),
        ("event", {"name": "go", "payload": "\x00"}),
        ("event", {"name": "go", "payload": f'"{"x" * 2_000}"'}),
        ("enqueue", {"queue": "a\x00"}),
        ("enqueue", {}),
        ("prune", {"keep_last": HUGE}),
        ("prune", {"keep_last": "0"}),
        ("cancel", {"reason": "a\x00"}),
        ("cancel", {"reason": "x" * 1_001}),
        ("terminate", {"reason": "x" * 1_001}),
    ],
)
def test_what_an_operation_cannot_take_is_told_and_not_done(order, boss, settings, operation, given):
    settings.DJANGO_DURABLE = {"MAX_PAYLOAD_BYTES": 1_024}
    response = boss.post(do(order, operation), given, follow=True)
    answered(boss, response)
    told = bool(response.context["form"].errors) if "form" in response.context else bool(response.context["messages"])
    assert told
    assert status(order) == "Running"
    assert logged() == []


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_other_methods_change_nothing(order, boss, method):
    for address in (page(order), do(order, "cancel"), LIST, START):
        answered(boss, getattr(boss, method)(address))
    assert status(order) == "Running"


@pytest.mark.parametrize(
    "given",
    [
        {"instance_id": "a\x00"},
        {"instance_id": "a\nb"},
        {"instance_id": "x" * 513},
        {"instance_id": "a", "start_at": "0001-01-01T00:00:00"},
        {"instance_id": "a", "start_at": "9999-12-31T23:59:59"},
        {"instance_id": "a", "start_at": "soon"},
        {"instance_id": "a", "input-note": "\x00"},
        {"instance_id": "a", "input-note": "x" * 2_000},
    ],
)
def test_a_start_that_cannot_be_is_told(shop, boss, given, settings):
    settings.TIME_ZONE = "America/New_York"
    settings.DJANGO_DURABLE = {"MAX_PAYLOAD_BYTES": 1_024}
    response = boss.post(f"{START}?orchestration=shop.waits", given)
    answered(boss, response)
    assert response.context["form"].errors
    assert shop.client.list_all_instances() == []


def test_a_body_that_is_too_large_is_refused(order, boss):
    answered(boss, boss.post(do(order, "event"), {"name": "go", "payload": "x" * 3_000_000}))
    assert logged() == []


def test_a_signed_out_form_and_a_forged_token_change_nothing(order, django_user_model):
    from django.test import Client

    person = Client(enforce_csrf_checks=True)
    person.force_login(django_user_model.objects.create_superuser("root"))
    assert person.post(do(order, "terminate"), {"reason": ""}).status_code == 403
    assert person.post(do(order, "terminate"), {"csrfmiddlewaretoken": "x" * 64}).status_code == 403
    assert status(order) == "Running"
    assert key(order)
