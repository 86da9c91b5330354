"""Who may do what: every endpoint for nobody, somebody, staff, each permission, and owners by a rule of the project."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from django.urls import resolve

from .orders import CUSTOMER

ORDER = "/durable/instances/customer-1/"
OTHER = "/durable/instances/another-1/"

VIEW, PAYLOAD = "view_instance", "view_payload"
START = {"orchestration": "orders.doubles", "input": 1, "instance_id": "customer-2"}

# What a right opens, as (method, path, body).
ENDPOINTS: list[tuple[str, str, str, object]] = [
    (VIEW, "get", "/durable/instances/", None),
    (VIEW, "get", ORDER, None),
    (VIEW, "get", f"{ORDER}status/", None),
    (VIEW, "get", f"{ORDER}changes/", None),
    (VIEW, "get", f"{ORDER}history/", None),
    (VIEW, "get", f"{ORDER}tree/", None),
    (VIEW, "get", f"{ORDER}executions/", None),
    (VIEW, "get", f"{ORDER}executions/1/", None),
    (VIEW, "get", "/durable/metrics/", None),
    (VIEW, "get", "/durable/metrics/prometheus/", None),
    (VIEW, "post", "/durable/bulk/", {"operation": "cancel", "filter": {}, "dry_run": True}),
    ("view_worker", "get", "/durable/workers/", None),
    ("start_instance", "get", "/durable/orchestrations/", None),
    ("start_instance", "post", "/durable/instances/", START),
    ("signal_instance", "post", f"{ORDER}events/", {"name": "go"}),
    ("signal_instance", "post", f"{ORDER}queues/messages/messages/", {"data": 1}),
    (VIEW, "get", f"{ORDER}streams/", None),
    ("send_to_stream", "post", f"{ORDER}streams/words/items/", {"items": [1]}),
    ("send_to_stream", "post", f"{ORDER}streams/words/close/", {}),
    ("prune_instance", "post", f"{ORDER}streams/words/trim/", {"keep": 1}),
    (VIEW, "get", "/durable/requests/", None),
    ("answer_promise", "get", f"{ORDER}promises/nothing/", None),
    ("answer_promise", "post", f"{ORDER}promises/nothing/complete/", {"result": 1}),
    ("answer_promise", "post", f"{ORDER}promises/nothing/fail/", {"message": "no"}),
    ("cancel_instance", "post", f"{ORDER}cancel/", {}),
    ("terminate_instance", "post", f"{ORDER}terminate/", {}),
    ("suspend_instance", "post", f"{ORDER}suspend/", {}),
    ("suspend_instance", "post", f"{ORDER}resume/", {}),
    ("retry_instance", "post", f"{ORDER}retry/", {}),
    ("retry_instance", "post", f"{ORDER}fork/", {"instance_id": "customer-3", "from_event": 1}),
    ("prune_instance", "post", f"{ORDER}prune/", {}),
    ("delete_instance", "delete", ORDER, None),
]
BOTH = {VIEW, PAYLOAD}
PAYLOADS = [("get", f"{ORDER}kv/"), ("get", f"{ORDER}kv/secret/"), ("get", f"{ORDER}streams/cards/items/")]
RIGHTS = sorted({right for right, *_ in ENDPOINTS} | {PAYLOAD})
SECRETS = ("4111", "top-secret", "doubled", "ValueError", "bold")


def call(api, method: str, path: str, body: object = None):
    return getattr(api, method)(path, body, format="json") if method == "post" else getattr(api, method)(path)


@pytest.fixture
def instances(durable) -> None:
    for instance_id in ("customer-1", "another-1"):
        durable.client.start_orchestration(instance_id, "orders.waits")
        durable.client.start_orchestration(
            f"{instance_id}-done", "orders.doubles", {"number": 1, "label": "top-secret"}
        )
        durable.client.start_orchestration(f"{instance_id}-failed", "orders.fails")
        durable.client.send_to_stream(instance_id, "cards", {"card": "4111"})
        durable.client.close_stream(instance_id, "cards", "top-secret")
    durable.client.start_orchestration("customer-1-parent", "orders.parent")
    durable.run()


@pytest.fixture
def owner_rules(settings) -> None:
    settings.DJANGO_DURABLE = {"PERMISSIONS": "tests.faces.api.orders.CustomerRules"}


def offered() -> set[tuple[str, str]]:
    """Return every name of the URL conf with every method that its view has."""
    from django_durable.api.urls import urlpatterns

    methods = ("get", "post", "put", "patch", "delete")
    views = [(each.name, getattr(each.callback, "cls", each.callback)) for each in urlpatterns]
    return {
        (str(name), method)
        for name, view in views
        for method in methods
        if hasattr(view, method) or (method == "get" and not isinstance(view, type))
    }


def test_every_method_of_every_endpoint_is_in_the_matrix() -> None:
    rows = [(method, path) for _, method, path, _ in ENDPOINTS] + PAYLOADS
    open_to_all = {("health-live", "get"), ("health-ready", "get")}
    of_several_rights = {("index", "get")}  # See `test_api_system`.

    assert {(resolve(path).url_name, method) for method, path in rows} == offered() - open_to_all - of_several_rights


def test_nobody_and_whoever_has_no_permission_gets_nothing(instances, api_of, user_with) -> None:
    users = [None, user_with(username="plain"), user_with(username="staff", is_staff=True)]

    for _, method, path, body in [*ENDPOINTS, *((PAYLOAD, *each, None) for each in PAYLOADS)]:
        answers = [call(api_of(user), method, path, body) for user in users]

        # 403 in place of 401, because a session, the framework's first way to log in, has no challenge.
        one_instance = path.startswith(ORDER)
        expected = 404 if one_instance else 403
        code = "instance_not_found" if one_instance else "permission_denied"
        found = [(each.status_code, each.json()["code"]) for each in answers]
        assert found == [(403, "not_authenticated"), (expected, code), (expected, code)], (method, path)
        assert not any(secret in each.content.decode() for secret in SECRETS for each in answers)


@pytest.mark.parametrize("held", RIGHTS)
def test_each_permission_opens_what_it_names_and_nothing_else(instances, api_of, user_with, held) -> None:
    api = api_of(user_with(held))

    for right, method, path, body in ENDPOINTS:
        answer = call(api, method, path, body)

        if held == right:
            # What is allowed may still be a move that the status does not allow, or meant for what is not there.
            allowed = answer.status_code in (200, 202, 409) or answer.json()["code"] == "promise_not_found"
            assert allowed, (method, path, answer.content)
        else:
            hidden = path.startswith(ORDER) and held != VIEW
            expected = (404, "instance_not_found") if hidden else (403, "permission_denied")
            assert (answer.status_code, answer.json()["code"]) == expected, (method, path)


@pytest.mark.parametrize("held", [{VIEW}, {PAYLOAD}, BOTH])
@pytest.mark.parametrize(("method", "path"), PAYLOADS)
def test_kv_needs_the_permission_for_payloads_and_to_see_the_instance(
    instances, api_of, user_with, held, method, path
) -> None:
    answer = call(api_of(user_with(*held)), method, path)

    assert answer.status_code == (200 if held == BOTH else 403 if VIEW in held else 404)
    assert ("4111" in answer.content.decode()) == (held == BOTH)


@pytest.mark.parametrize(
    "path",
    [
        "customer-1-done/",
        "customer-1-failed/",
        "customer-1-done/status/",
        "customer-1-failed/status/",
        "customer-1-done/history/",
        "customer-1-failed/history/",
        "customer-1-done/executions/1/",
        "customer-1-failed/executions/1/",
    ],
)
def test_payloads_are_left_out_without_their_permission(instances, api_of, user_with, path) -> None:
    without = api_of(user_with(VIEW, username="without")).get(f"/durable/instances/{path}")
    allowed = api_of(user_with(VIEW, PAYLOAD, username="allowed")).get(f"/durable/instances/{path}")

    assert (without.status_code, allowed.status_code) == (200, 200)
    assert not any(secret in without.content.decode() for secret in SECRETS)
    assert any(secret in allowed.content.decode() for secret in SECRETS)


def test_a_tag_is_not_shared_by_those_who_see_payloads_and_those_who_do_not(instances, api_of, user_with) -> None:
    path = "/durable/instances/customer-1-done/status/"
    allowed = api_of(user_with(VIEW, PAYLOAD, username="allowed")).get(path)

    without = api_of(user_with(VIEW, username="without")).get(path, HTTP_IF_NONE_MATCH=allowed["ETag"])

    assert without.status_code == 200


def test_a_change_by_whoever_may_not_look_shows_nothing(instances, api_of, user_with) -> None:
    answer = api_of(user_with("signal_instance")).post(f"{ORDER}events/", {"name": "go"}, format="json")

    assert answer.json() == {"instance_id": "customer-1", "status_url": f"{ORDER}status/", "instance": None}


def test_whoever_may_look_is_told_that_more_is_forbidden(instances, api_of, user_with) -> None:
    answer = api_of(user_with(VIEW)).post(f"{ORDER}cancel/")

    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")


def test_force_needs_the_permission_to_terminate(instances, api_of, user_with) -> None:
    deleting = user_with(VIEW, "delete_instance", username="deleting")
    both = user_with(VIEW, "delete_instance", "terminate_instance", username="both")

    assert api_of(deleting).delete(f"{ORDER}?force=true").status_code == 403
    assert api_of(both).delete(f"{ORDER}?force=true").status_code == 200


def test_a_start_does_not_tell_what_else_has_the_id(instances, api_of, user_with) -> None:
    taken = {**START, "instance_id": "customer-1"}

    blind = api_of(user_with("start_instance", username="blind")).post("/durable/instances/", taken, format="json")
    seeing = api_of(user_with("start_instance", VIEW)).post("/durable/instances/", taken, format="json")

    assert (blind.status_code, seeing.status_code) == (409, 409)
    assert "orders.waits" not in blind.json()["detail"]
    assert "orders.waits" in seeing.json()["detail"]


# Rules of the project.


def test_a_customer_watches_her_own_order_and_not_its_history(instances, api_of, user_with, owner_rules) -> None:
    customer = api_of(user_with(username=CUSTOMER))

    status, detail = customer.get(f"{ORDER}status/"), customer.get(ORDER)

    assert status.json()["custom_status"] == {"step": "waiting"}
    assert not {"output", "error", "input"} & {*status.json(), *detail.json()}
    assert not {"worker_id", "history_length", "parent_instance_id"} & {*detail.json()}


def test_the_rule_of_the_owner_opens_nothing_but_looking(instances, api_of, user_with, owner_rules) -> None:
    """The rest of the matrix: every endpoint for the owner of one order, and for whoever has another."""
    owner = api_of(user_with(username=CUSTOMER))
    stranger = api_of(user_with(username="another"))
    everything = [(method, path, body) for _, method, path, body in ENDPOINTS] + [(*each, None) for each in PAYLOADS]

    for method, path, body in everything:
        own, foreign = call(owner, method, path, body), call(stranger, method, path, body)
        looking = method == "get" and path in (ORDER, f"{ORDER}status/", f"{ORDER}changes/", f"{ORDER}streams/")
        assert own.status_code == (200 if looking else 403), (method, path)
        assert foreign.status_code == (404 if path.startswith(ORDER) else 403), (method, path)
        assert not any(secret in each.content.decode() for secret in SECRETS for each in (own, foreign))


def test_a_customer_is_told_that_other_orders_are_not_there(instances, api_of, user_with, owner_rules) -> None:
    customer = api_of(user_with(username=CUSTOMER))

    for rest in ("", "status/", "history/", "tree/", "executions/", "kv/", "streams/", "streams/cards/items/"):
        real, unknown = customer.get(OTHER + rest), customer.get(f"/durable/instances/nothing/{rest}")
        assert (real.status_code, unknown.status_code) == (404, 404)
        # The one answer tells as little as the other.
        assert real.content.replace(b"another-1", b"nothing") == unknown.content
    assert customer.get("/durable/instances/").status_code == 403


def test_a_rule_may_also_take_away(instances, durable, api_of, user_with, settings) -> None:
    settings.DJANGO_DURABLE = {"PERMISSIONS": "tests.faces.api.orders.DiscreetRules"}
    durable.client.start_orchestration("secret-1", "orders.waits")
    durable.client.start_orchestration("with-secret", "orders.parent")
    durable.run()
    operator = api_of(user_with(VIEW, PAYLOAD, "cancel_instance"))

    rows = operator.get("/durable/instances/").json()["results"]
    tree = operator.get("/durable/instances/with-secret/tree/")
    bulk = operator.post(
        "/durable/bulk/", {"operation": "cancel", "instance_ids": ["secret-1", "customer-1"]}, format="json"
    ).json()

    assert "customer-1" in [row["instance_id"] for row in rows]
    assert not [row for row in rows if "secret" in row["instance_id"]]
    assert operator.get("/durable/instances/secret-1/").status_code == 404
    assert tree.status_code == 404
    assert {each["instance_id"]: each["code"] for each in bulk["results"]} == {
        "secret-1": "instance_not_found",
        "customer-1": None,
    }


def test_whoever_is_not_logged_in_cannot_ask_which_instances_there_are(instances, api_of) -> None:
    anonymous = api_of(None)

    for rest in ("", "status/", "history/", "kv/"):
        real, unknown = anonymous.get(ORDER + rest), anonymous.get(f"/durable/instances/nothing/{rest}")
        assert (real.status_code, real.content) == (unknown.status_code, unknown.content)


def test_an_open_default_of_the_project_opens_nothing_here(instances, api_of, settings) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"]}

    assert api_of(None).get("/durable/instances/").status_code == 403


def test_a_session_needs_its_csrf_token_to_change_something(instances, django_user_model) -> None:
    from rest_framework.test import APIClient

    user = django_user_model.objects.create_superuser("session")
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(user)

    assert client.get(f"{ORDER}status/").status_code == 200
    assert client.post(f"{ORDER}suspend/").status_code == 403


def test_payloads_with_markup_are_shown_as_text(instances, api) -> None:
    page = api.get("/durable/instances/customer-1-failed/", HTTP_ACCEPT="text/html")

    assert page["Content-Type"].startswith("text/html")
    assert "<b>bold</b>" not in page.content.decode()
    assert "bold" in page.content.decode()
    assert json.loads(api.get("/durable/instances/customer-1-failed/").content)["error"]["message"].count("<b>") == 1


def test_a_setting_that_names_no_rules_is_found_by_the_checks(settings) -> None:
    from django_durable.checks import check_settings

    settings.DJANGO_DURABLE = {"PERMISSIONS": "tests.faces.api.orders.Missing"}

    assert [each.id for each in check_settings(None)] == ["django_durable.E005"]


def test_without_the_framework_the_app_works_and_the_import_says_which_extra_to_install() -> None:
    script = """
import sys
missing = ["rest_framework", "drf_spectacular"]
sys.modules.update(dict.fromkeys(missing))
import django
from django.conf import settings
settings.INSTALLED_APPS = [each for each in settings.INSTALLED_APPS if each not in missing]
django.setup()
from django.core.exceptions import ImproperlyConfigured
try:
    import django_durable.api.urls
except ImproperlyConfigured as error:
    print(error)
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "pip install 'django-durable-workflows[api]'" in found.stdout
