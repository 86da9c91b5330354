"""The admin in a browser: what operators do most, and what they see of it without a reload."""

from __future__ import annotations

import pytest

from django_durable.client import client
from django_durable.engine.events import ActivityFailed
from django_durable.models import Instance
from example_project.shop import accounts, services
from example_project.shop.catalogue import CITIES
from example_project.shop.models import ImportRun, Poster
from example_project.shop.workflows import WAITING, import_catalogue
from tests.acceptance.stage import until

LIST = "/admin/django_durable/instance/"


@pytest.fixture
def chat(site) -> str:
    """An instance that waits for messages."""
    opened = services.open_conversation(accounts.demo_customer()).instance_id
    until(lambda: client.get_status(opened).runtime_status == "Running", "the chat to begin")
    return opened


@pytest.fixture
def waiting_import(site) -> ImportRun:
    run = services.start_import()
    until(lambda: (client.get_status(run.instance_id).custom_status or {}).get("text") == WAITING, "the question")
    return run


def address(instance_id: str) -> str:
    return f"{LIST}{Instance.objects.get(instance_id=instance_id).pk}/change/"


def pill(page):
    return page.locator(".durable-header .durable-pill")


def test_an_instance_is_suspended_and_resumed(staff, chat, expect):
    staff.goto(address(chat))
    staff.get_by_role("button", name="Suspend").click()
    expect(pill(staff)).to_contain_text("Suspended")
    staff.get_by_role("button", name="Resume").click()
    expect(pill(staff)).to_contain_text("Running")


def test_an_instance_is_canceled_and_seen_to_end(staff, chat, expect):
    staff.goto(address(chat))
    staff.get_by_role("link", name="Cancel").click()
    staff.get_by_label("Reason").fill("The customer called instead.")
    staff.get_by_role("button", name="Cancel").click()
    expect(pill(staff)).to_contain_text("Canceled")
    staff.get_by_role("link", name="Log", exact=True).click()
    expect(staff.get_by_text("The customer called instead.")).to_be_visible()


def test_an_event_that_is_waited_for_is_raised_from_where_it_is_shown(staff, waiting_import, camera, expect):
    staff.goto(address(waiting_import.instance_id))
    camera.shoot(staff, "admin-detail", 1440, 960)
    staff.get_by_role("table").get_by_role("link", name="Raise event").click()
    expect(staff.get_by_label("Name")).to_have_value("approval")
    staff.get_by_label("Data").fill('{"approved": false, "by": "the night shift"}')
    staff.get_by_role("button", name="Raise event").click()
    expect(pill(staff)).to_contain_text("Completed")
    waiting_import.refresh_from_db()
    assert (waiting_import.status, waiting_import.decided_by) == (ImportRun.Status.DISCARDED, "the night shift")


def test_an_instance_is_started_from_the_form_made_of_its_signature(staff, site, expect):
    poster = Poster.objects.filter(published=True)[0]
    staff.goto(LIST)
    staff.get_by_role("link", name="Start an instance").click()
    staff.get_by_role("link", name="example_project.shop.workflows.price_check").click()
    staff.get_by_role("button", name="Start").click()
    expect(staff.get_by_text("Please correct what is marked below.")).to_be_visible()
    staff.get_by_label("poster_id").fill(str(poster.pk))
    staff.get_by_role("button", name="Start").click()
    expect(pill(staff)).to_contain_text("Completed")
    expect(staff.get_by_label("Output")).to_contain_text("Meridian Press")


def test_a_failed_instance_is_retried_once_its_cause_is_gone(staff, site, expect):
    missing = 1_000_000
    import_catalogue.start(run_id=missing, instance_id="import-early")
    until(lambda: client.get_status("import-early").runtime_status == "Failed", "the import to fail")
    [failure] = [
        each.seq for each in client.read_execution_history("import-early") if isinstance(each.fact, ActivityFailed)
    ]
    ImportRun.objects.create(pk=missing, source=CITIES)
    staff.goto(address("import-early"))
    staff.get_by_role("link", name="Retry").click()
    staff.get_by_role("button", name="Retry").click()
    expect(staff.get_by_text("choose the event")).to_be_visible()  # It has compensated since.
    staff.get_by_role("link", name="Retry").click()
    staff.get_by_label("From event").fill(str(failure))
    staff.get_by_role("button", name="Retry").click()
    expect(pill(staff)).to_contain_text("Running")
    expect(staff.get_by_text(WAITING).first).to_be_visible()


def test_several_instances_are_canceled_from_the_list(staff, site, expect):
    chats = [services.open_conversation(accounts.demo_customer()).instance_id for _ in range(2)]
    staff.goto(LIST)
    for each in chats:
        staff.get_by_role("row").filter(has=staff.get_by_role("link", name=each, exact=True)).get_by_role(
            "checkbox"
        ).check()
    staff.get_by_role("combobox", name="Action").select_option("Cancel selected instances")
    staff.get_by_role("button", name="Go").click()
    staff.get_by_role("button", name="Cancel").click()
    expect(staff.get_by_text("2 instances were asked to cancel.")).to_be_visible()
    until(lambda: all(client.get_status(each).runtime_status == "Canceled" for each in chats), "both to end")


def test_the_list_is_filtered_and_searched(staff, chat, camera, expect):
    staff.goto(LIST)
    expect(staff.get_by_role("link", name=chat, exact=True)).to_be_visible()
    camera.shoot(staff, "admin-list", 1440, 960)
    staff.get_by_role("link", name="Blocked").first.click()
    expect(staff.get_by_text("No instance matches.")).to_be_visible()


def test_a_detail_is_kept_up_to_date_and_what_is_open_stays_open(staff, chat, expect):
    staff.goto(address(chat))
    staff.evaluate("window.stayed = true")
    staff.locator("details#d-traceback, .durable-events details").first.locator("summary").click()
    client.enqueue_event(chat, "messages", "Shanghai?")
    expect(staff.get_by_role("heading", name="KV entries")).to_be_visible()
    assert staff.evaluate("window.stayed === true")
    assert staff.locator(".durable-events details[open]").count() == 1


def test_a_detail_and_its_actions_work_without_javascript(visitors, chat, expect):
    with visitors.page("staff", java_script_enabled=False) as page:
        page.goto(address(chat))
        page.get_by_role("button", name="Suspend").click()
        expect(pill(page)).to_contain_text("Suspended")
        page.get_by_role("link", name="Terminate").click()
        page.get_by_role("button", name="Terminate").click()
        expect(pill(page)).to_contain_text("Terminated")
