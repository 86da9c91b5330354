"""Fixtures of the pages' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .reading import Reading, app_of_the_pages, registry_as_it_was


@pytest.fixture(scope="session")
def order_table(django_db_setup, django_db_blocker) -> Iterator[type]:
    """The table of the app `orders`, beside those that migrations made."""
    from django.db import connection

    from .orders.models import Order

    with django_db_blocker.unblock():
        with connection.schema_editor() as editor:
            editor.create_model(Order)
        yield Order
        with connection.schema_editor() as editor:
            editor.delete_model(Order)


@pytest.fixture
def reading(durable_db, order_table) -> Iterator[Reading]:
    """Reads a page on a real database with a real worker."""
    with app_of_the_pages(), registry_as_it_was():
        made = Reading()
        try:
            yield made
        finally:
            made.close()
            order_table.objects.all().delete()
