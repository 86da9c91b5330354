"""The shop's page: what it shows, and what its forms start."""

from __future__ import annotations

import re

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from example_project.shop import services
from example_project.shop.models import ChatMessage, ImportRun, Order
from example_project.shop.outside import SUPPLIERS

pytestmark = pytest.mark.urls("example_project.urls")


def shown(client):
    response = client.get(reverse("shop:index"))
    assert response.status_code == 200
    return response.content.decode()


def test_an_empty_shop_says_so_and_stays_still(client, db):
    page = shown(client)
    assert "Nothing was imported yet." in page
    assert "0 posters on sale" in page
    assert 'http-equiv="refresh"' not in page


def test_an_import_is_started_watched_and_published_from_the_page(client, durable):
    client.post(reverse("shop:start_import"))
    page = shown(client)
    assert "Pending" in page
    assert 'http-equiv="refresh"' in page

    durable.run()
    assert '<progress value="1.0" max="1">' in shown(client)
    run = ImportRun.objects.get()
    client.post(reverse("shop:decide_import", args=[run.pk]), {"decision": "publish"})
    durable.run()
    page = shown(client)
    assert "Completed" in page
    assert "4025 posters on sale" in page


def test_a_poster_is_ordered_and_canceled_from_the_page(client, durable, poster):
    client.post(reverse("shop:place_order"), {"poster": poster.pk})
    order = Order.objects.get()
    client.post(reverse("shop:cancel_order", args=[order.pk]))
    durable.run()
    order.refresh_from_db()
    assert order.status == Order.Status.CANCELED
    assert "Canceled" in shown(client)


def test_a_late_decision_is_told_to_whoever_made_it(client, durable):
    run = services.start_import()
    durable.run_to_the_end()
    response = client.post(reverse("shop:decide_import", args=[run.pk]), {"decision": "publish"}, follow=True)
    assert f"instance &#x27;{run.instance_id}&#x27;: it is Completed" in response.content.decode()


def test_a_row_whose_workflow_was_deleted_is_still_shown(client, poster):
    order = Order.objects.create(poster=poster, total=poster.price)
    assert f'<th scope="row">{order}</th>' in shown(client)


def test_the_page_takes_the_same_number_of_queries_however_much_it_shows(client, durable, poster):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            shown(client)
        return len(captured)

    services.place_order(poster)
    few = queries()
    for _ in range(5):
        services.place_order(poster)
    assert queries() == few


def test_the_page_has_no_inline_style_or_script(client, durable, poster):
    services.place_order(poster)
    assert not re.search(r"<script|<style| style=| on\w+=", shown(client))


def test_prices_are_asked_for_from_the_admin(admin_client, durable, poster):
    url = reverse("admin:shop_poster_changelist")
    response = admin_client.post(url, {"action": "check_prices", "_selected_action": [poster.pk]}, follow=True)
    assert "Asked about 1 poster." in response.content.decode()
    durable.run()
    assert poster.quotes.count() == len(SUPPLIERS)


def test_every_table_of_the_shop_is_in_the_admin(admin_client, poster):
    inline = {ChatMessage}
    for model in set(apps.get_app_config("shop").get_models()) - inline:
        response = admin_client.get(reverse(f"admin:shop_{model._meta.model_name}_changelist"))
        assert response.status_code == 200, model
