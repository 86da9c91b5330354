from __future__ import annotations

from collections.abc import Iterator

import pytest

from django_durable.client import Client
from django_durable.testing import Durable

from .orders import registry


@pytest.fixture
def client() -> Client:
    return Client(registry)


@pytest.fixture
def durable(db: None) -> Iterator[Durable]:
    """Runs instances of the test's registry on this thread."""
    harness = Durable(registry)
    yield harness
    harness.close()
