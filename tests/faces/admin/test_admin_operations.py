"""What can be done to instances from the admin, and who may do it."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import CHANGE, DELETION

from .pages import LIST, do, key, logged, page, said, status, text

RIGHTS = {
    "event": ("signal_instance", {"name": "go", "payload": '{"by": 3}'}),
    "enqueue": ("signal_instance", {"queue": "orders", "payload": ""}),
    "send": ("send_to_stream", {"stream": "words", "payload": "1"}),
    "close-stream": ("send_to_stream", {"stream": "words", "reason": ""}),
    "trim-stream": ("prune_instance", {"stream": "words", "keep": "1"}),
    "suspend": ("suspend_instance", {}),
    "resume": ("suspend_instance", {}),
    "retry": ("retry_instance", {"from_event": ""}),
    "cancel": ("cancel_instance", {"reason": "too late"}),
    "terminate": ("terminate_instance", {"reason": ""}),
    "prune": ("prune_instance", {"keep_last": "1"}),
    "delete": ("delete_instance", {"force": "on"}),
}
EVERY_RIGHT = {right for right, _ in RIGHTS.values()} | {"start_instance", "view_payload"}


def test_every_operation_is_in_this_matrix():
    from django_durable.admin.operations import OPERATIONS
    from django_durable.admin.rights import RIGHTS as PERMISSIONS

    assert {name: PERMISSIONS[each.right].codename for name, each in OPERATIONS.items()} == {
        name: right for name, (right, _) in RIGHTS.items()
    }


@pytest.fixture
def order(shop) -> str:
    """A running instance; suspended where the test's operation is to resume it."""
    shop.client.start_orchestration("order-1", "shop.waits")
    shop.run()
    return "order-1"


def selected(operation: str, *instance_ids: str, **given: str) -> dict[str, object]:
    keys = [key(each) for each in instance_ids]
    return {"action": f"{operation}_instances", "_selected_action": keys, "index": "0", **given}


# Who may.


@pytest.mark.parametrize("operation", RIGHTS)
def test_operation_is_closed_to_all_without_its_permission(order, client, person, operation):
    address, given = do(order, operation), RIGHTS[operation][1]
    before = status(order)
    assert client.post(address, given).headers["Location"].startswith("/admin/login/")
    needed = RIGHTS[operation][0]
    for rights in ([], ["view_instance"], [needed], ["view_instance", *EVERY_RIGHT - {needed}]):
        somebody = person(*rights)
        assert somebody.get(address).status_code == 403
        assert somebody.post(address, given).status_code == 403
    assert status(order) == before
    assert logged() == []


@pytest.mark.parametrize("operation", RIGHTS)
def test_action_of_the_list_is_not_offered_or_done_without_its_permission(order, person, operation):
    somebody = person("view_instance", *EVERY_RIGHT - {RIGHTS[operation][0]})
    assert f'value="{operation}_instances"' not in somebody.get(LIST).content.decode()
    before = status(order)
    somebody.post(LIST, selected(operation, order, confirmed="yes", **RIGHTS[operation][1]))
    assert status(order) == before
    assert logged() == []


@pytest.mark.parametrize("operation", RIGHTS)
def test_operation_is_open_to_staff_with_its_permission_and_is_logged(order, shop, person, operation):
    if operation == "resume":
        shop.client.suspend_instance(order)
    if operation == "retry":
        shop.client.terminate_instance(order)
    more = {"terminate_instance"} if operation == "delete" else set()  # It has not ended.
    somebody = person("view_instance", RIGHTS[operation][0], *more)
    response = somebody.post(do(order, operation), RIGHTS[operation][1], follow=True)
    assert len(said(response)) == 1
    assert "1 instance" in said(response)[0]
    assert [(each, flag) for each, flag, _ in logged()] == [(order, DELETION if operation == "delete" else CHANGE)]


# Every page of the admin's models, by the name of its address: which permission opens it, None where nothing does.
PAGES = {
    "instance_changelist": "view_instance",
    "instance_add": None,
    "instance_change": "view_instance",
    "instance_history": "view_instance",
    "instance_delete": None,
    "instance_overview": "view_instance",
    "instance_start": "start_instance",
    "instance_do": "cancel_instance",  # one of them; the others are above
    "worker_changelist": "view_worker",
    "worker_add": None,
    "worker_change": "view_worker",
    "worker_history": "view_worker",
    "worker_delete": None,
    "session_changelist": "view_session",
    "session_add": None,
    "session_change": "view_session",
    "session_history": "view_session",
    "session_delete": None,
    "promise_changelist": "answer_promise",
    "promise_add": None,
    "promise_change": "answer_promise",
    "promise_history": "answer_promise",
    "promise_delete": None,
}


def names_of_pages() -> set[str]:
    """Return the names of all addresses that the admin has for the models of the app."""
    from django.contrib import admin

    found = {
        each.name
        for model, model_admin in admin.site._registry.items()
        if model._meta.app_label == "django_durable"
        for each in model_admin.get_urls()
    }
    return {name.removeprefix("django_durable_") for name in found if name}


def test_every_page_is_in_the_matrix():
    assert names_of_pages() == PAGES.keys()


@pytest.mark.parametrize("name", PAGES)
def test_page_is_closed_to_all_without_its_permission(order, client, person, name):
    from django.urls import reverse
    from django.utils import timezone

    from django_durable.models import Promise, Session, Worker

    now = timezone.now()
    Worker.objects.create(
        worker_id="w", host="h", pid=1, tags="{}", concurrency=1, metrics="{}", heartbeat_at=now, started_at=now
    )
    Session.objects.create(session_id="s", worker_id="w", lease_until=now, last_activity_at=now)
    asked = Promise.objects.create(
        instance_id=key(order),
        execution_number=1,
        seq=9,
        promise_id="p",
        name="ask",
        question='"Ship it?"',
        answer="{}",
        created_at=now,
    )
    keys = {"instance": key(order), "worker": "w", "session": "s", "promise": asked.pk}
    object_key = keys[name.partition("_")[0]]
    args = {"change": [object_key], "history": [object_key], "delete": [object_key], "do": [object_key, "cancel"]}
    address = reverse(f"admin:django_durable_{name}", args=args.get(name.partition("_")[2]))
    needed = PAGES[name]
    others = {*EVERY_RIGHT, "view_instance", "view_worker", "view_session", "delete_worker", "answer_promise"}

    assert client.get(address).headers["Location"].startswith("/admin/login/")
    assert person().get(address).status_code == 403
    assert person(*others - {needed}).get(address).status_code == 403
    if needed is not None:
        assert person(*{"view_instance", needed}).get(address).status_code == 200


def test_page_offers_only_what_is_permitted_and_fits_the_status(order, person):
    body = person("view_instance", "cancel_instance", "suspend_instance").get(page(order)).content.decode()
    offered = {operation for operation in RIGHTS if do(order, operation) in body}
    assert offered == {"cancel", "suspend"}


# What they do.


def test_event_reaches_the_instance_with_its_data(order, shop, boss):
    boss.post(do(order, "event"), {"name": "go", "payload": '{"by": 3}'})
    shop.run()
    assert status(order) == "Completed"
    assert [message for _, _, message in logged()] == ["Raised event “go”."]


def test_message_reaches_the_queue(order, shop, boss):
    boss.post(do(order, "enqueue"), {"queue": "orders", "payload": "7"})
    shop.run()
    assert status(order) == "Completed"


def test_cancel_tells_its_reason(order, shop, boss):
    boss.post(do(order, "cancel"), {"reason": "too late"})
    shop.run()
    assert status(order) == "Canceled"
    assert [message for _, _, message in logged()] == ["Asked to cancel. too late"]


def test_terminate_suspend_and_resume_change_the_status(order, boss):
    boss.post(do(order, "suspend"))
    assert status(order) == "Suspended"
    boss.post(do(order, "resume"))
    assert status(order) == "Running"
    boss.post(do(order, "terminate"), {"reason": "x"})
    assert status(order) == "Terminated"


def test_prune_removes_old_executions(shop, boss):
    shop.client.start_orchestration("order-1", "shop.counts", {"times": 3})
    shop.run()
    boss.post(do("order-1", "prune"), {"keep_last": "2"})
    assert shop.client.list_executions("order-1") == [3, 4]


def test_delete_asks_for_force_where_the_instance_lives(order, boss):
    from django_durable.models import Instance

    response = boss.post(do(order, "delete"), {}, follow=True)
    assert "Cannot delete instance 'order-1': it is Running" in said(response)[0]
    assert logged() == []
    response = boss.post(do(order, "delete"), {"force": "on"}, follow=True)
    assert said(response) == ["1 instance was deleted."]
    assert response.redirect_chain[0][0] == LIST
    assert not Instance.objects.exists()


def test_illegal_move_says_why_and_is_not_logged(order, boss):
    response = boss.post(do(order, "resume"), follow=True)
    assert "Cannot resume instance 'order-1': it is Running, expected" in said(response)[0]
    assert logged() == []


@pytest.mark.parametrize("data", ["{", "NaN", "[" * 3000, "undefined"])
def test_data_that_is_no_json_is_refused_at_the_field(order, boss, data):
    response = boss.post(do(order, "event"), {"name": "go", "payload": data})
    assert "This is not JSON" in text(response)
    assert logged() == []


def test_get_of_an_operation_asks_and_does_nothing(order, boss):
    response = boss.get(do(order, "event"), {"name": "go"})
    assert 'value="go"' in response.content.decode()
    assert boss.get(do(order, "suspend")).status_code == 200
    assert status(order) == "Running"
    assert boss.get(f"{LIST}{key(order)}/do/nonsense/").status_code == 404


def test_operation_on_an_instance_that_is_gone_leads_back(boss):
    assert boss.post(f"{LIST}987654/do/cancel/", {"reason": ""}).status_code == 302


# On many.


def test_action_asks_first_and_then_reports_each_that_was_refused(shop, boss):
    for instance_id in ("a", "b"):
        shop.client.start_orchestration(instance_id, "shop.waits")
    shop.client.start_orchestration("c", "shop.fails")
    shop.run()
    asked = boss.post(LIST, selected("terminate", "a", "b", "c"))
    assert "3 instances" in text(asked)
    assert status("a") == "Running"
    done = boss.post(LIST, selected("terminate", "a", "b", "c", confirmed="yes", reason="why"), follow=True)
    assert said(done)[0] == "2 instances were terminated."
    assert "Cannot terminate instance 'c': it is Failed" in said(done)[1]
    assert [status(each) for each in "abc"] == ["Terminated", "Terminated", "Failed"]
    assert logged() == [("a", CHANGE, "Terminated. why"), ("b", CHANGE, "Terminated. why")]


def test_action_without_questions_is_done_at_once(shop, boss):
    shop.client.start_orchestration("a", "shop.waits")
    done = boss.post(LIST, selected("suspend", "a"), follow=True)
    assert said(done) == ["1 instance was suspended."]
    assert status("a") == "Suspended"


def test_action_on_a_later_page_of_the_list_reaches_what_was_selected(shop, boss):
    for instance_id in ("a", "b"):
        shop.client.start_orchestration(instance_id, "shop.waits")
    boss.post(f"{LIST}?older={key('b')}", selected("suspend", "a"), follow=True)
    assert (status("a"), status("b")) == ("Suspended", "Pending")


def test_many_refusals_are_summed_up(shop, boss):
    names = [f"i{number:02}" for number in range(13)]
    for instance_id in names:
        shop.client.start_orchestration(instance_id, "shop.fails")
    shop.run()
    done = boss.post(LIST, selected("suspend", *names), follow=True)
    assert len(said(done)) == 11
    assert said(done)[-1] == "3 more were refused."


# Starting.


# Retry.


def test_retry_from_an_event_is_logged_with_it(shop, boss):
    shop.client.start_orchestration("order-1", "shop.fails")
    shop.run()
    assert "from_event" in boss.get(do("order-1", "retry")).content.decode()
    refused = boss.post(do("order-1", "retry"), {"from_event": "2"}, follow=True)
    assert "Go back to event 1." in text(refused)
    boss.post(do("order-1", "retry"), {"from_event": "1"})
    assert status("order-1") == "Running"
    assert [message for _, _, message in logged()] == ["Retried from event 1."]


def test_retry_of_many_tells_of_those_that_cannot_be(shop, boss):
    shop.client.start_orchestration("failed", "shop.fails")
    shop.client.start_orchestration("running", "shop.waits")
    shop.run()
    done = boss.post(LIST, selected("retry", "failed", "running", confirmed="yes", from_event=""), follow=True)
    assert "1 instance goes on." in said(done)
    assert any("expected Canceled or Failed or Terminated" in each for each in said(done))
    assert (status("failed"), status("running")) == ("Running", "Running")


def test_retry_is_offered_for_roots_that_ended_badly_only(shop, boss):
    shop.client.start_orchestration("family", "shop.parent")
    shop.client.start_orchestration("fine", "shop.takes_anything", {})
    shop.run()
    shop.client.terminate_instance("family")
    offered = {
        each: do(each, "retry") in boss.get(page(each)).content.decode() for each in ("family", "family-0", "fine")
    }
    assert offered == {"family": True, "family-0": False, "fine": False}
