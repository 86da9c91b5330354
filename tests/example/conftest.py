"""The shop, on the worker that runs inside a test."""

from __future__ import annotations

import pytest

from django_durable.client import OrchestrationStatus
from django_durable.testing.plugin import durable  # noqa: F401 - a fixture
from tests.example.support import assert_prefix_law


@pytest.fixture
def ended(durable):  # noqa: F811
    """Returns the status of an instance, which must have ended in the given way, its histories replayable."""

    def check(instance_id: str, expected: str = "Completed") -> OrchestrationStatus:
        status = durable.client.get_status(instance_id)
        assert status.runtime_status == expected, status
        for number in durable.client.list_executions(instance_id):
            assert_prefix_law(durable.client.read_execution_history(instance_id, number))
        return status

    return check


@pytest.fixture
def poster(db):
    """One poster on sale, ten in stock."""
    from example_project.shop.models import Continent, ImportRun, Poster

    return Poster.objects.create(
        run=ImportRun.objects.create(source="cities.csv", status=ImportRun.Status.PUBLISHED),
        geoname_id=2267057,
        city="Lisbon",
        country="PT",
        continent=Continent.EUROPE,
        latitude=38.71667,
        longitude=-9.13333,
        population=567131,
        price=24,
        stock=10,
        published=True,
    )


@pytest.fixture
def customer(db):
    from example_project.shop import accounts

    return accounts.demo_customer()


@pytest.fixture
def staff(db):
    from example_project.shop import accounts

    return accounts.demo_staff()
