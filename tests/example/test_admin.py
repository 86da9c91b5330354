"""The shop's tables in the admin."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.urls import reverse

from example_project.shop.models import ChatMessage
from example_project.shop.outside import SUPPLIERS

pytestmark = pytest.mark.urls("example_project.urls")


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
