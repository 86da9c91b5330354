"""Imports: for staff who may see, start and decide them."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from example_project.shop import services
from example_project.shop.models import ImportRun

from .conftest import logged_in


@pytest.fixture
def waiting(durable) -> ImportRun:
    run = services.start_import()
    durable.run()
    return run


def decision(run: ImportRun) -> str:
    return reverse("shop:decide_import", args=[run.pk])


def test_an_import_is_started_watched_and_published_from_its_page(clerk, durable, shown):
    response = clerk.post(reverse("shop:start_import"))
    run = ImportRun.objects.get()
    assert response.url == run.get_absolute_url() == f"/imports/{run.pk}/"
    assert "Importing" in shown(clerk, run.get_absolute_url())

    durable.run()
    page = shown(clerk, run.get_absolute_url())
    assert "Waiting for approval 4028 of 4028 rows" in page
    assert "Publish Discard Rejected rows" in page
    assert "Kampong Baharu Cheras Batu Sebelas, MY" in page

    clerk.post(decision(run), {"decision": "publish"})
    durable.run()
    assert "Published by staff" in shown(clerk, run.get_absolute_url())
    assert f"import-{run.pk} 4025 3 Published" in shown(clerk, reverse("shop:imports"))


def test_an_import_is_discarded_from_its_page(clerk, durable, waiting, shown):
    clerk.post(decision(waiting), {"decision": "discard"})
    durable.run()
    assert "Discarded by staff" in shown(clerk, waiting.get_absolute_url())


def test_a_late_decision_is_told_to_whoever_made_it(clerk, durable, waiting):
    durable.run_to_the_end()
    response = clerk.post(decision(waiting), {"decision": "publish"}, follow=True)
    assert f"instance '{waiting.instance_id}': it is Completed" in str(*response.context["messages"])


@pytest.mark.parametrize("sent", [{}, {"decision": ""}, {"decision": "maybe"}])
def test_what_is_no_decision_decides_nothing(clerk, durable, waiting, sent):
    response = clerk.post(decision(waiting), sent, follow=True)
    assert len(response.context["messages"]) == 1
    durable.run()
    waiting.refresh_from_db()
    assert waiting.status == ImportRun.Status.WAITING


def test_customers_and_strangers_see_and_do_nothing(shopper, anonymous, waiting):
    for address in [reverse("shop:imports"), waiting.get_absolute_url()]:
        assert shopper.get(address).status_code == 403
        assert anonymous.get(address).url.startswith(reverse("login"))
    for address in [reverse("shop:start_import"), decision(waiting)]:
        assert shopper.post(address, {"decision": "publish"}).status_code == 403
        assert anonymous.post(address, {"decision": "publish"}).url.startswith(reverse("login"))
    assert ImportRun.objects.count() == 1


def test_staff_who_may_only_look_get_no_buttons(waiting, shown):
    looker = User.objects.create_user("looker", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_importrun"))
    browser = logged_in(looker)
    page = shown(browser, waiting.get_absolute_url())
    assert "Waiting for approval" in page
    assert "Publish" not in page
    assert "Import the catalogue" not in shown(browser, reverse("shop:imports"))
    assert browser.post(decision(waiting), {"decision": "publish"}).status_code == 403


def test_an_import_that_is_not_there_is_not_found(clerk, shown):
    shown(clerk, reverse("shop:import", args=[1]), status=404)
    assert clerk.post(reverse("shop:decide_import", args=[1]), {"decision": "publish"}).status_code == 404
