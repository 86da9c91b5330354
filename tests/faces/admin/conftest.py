"""The admin over a registry of its own, and who may look at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from django_durable.client.viewing import client as default_client
from django_durable.testing import Durable

from .orders import registry


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the admin's client know the orchestrations of these tests, and no others."""
    monkeypatch.setattr(default_client, "registry", registry)


@pytest.fixture
def shop(db: None) -> Iterator[Durable]:
    """Runs instances of these tests' registry on this thread."""
    harness = Durable(registry)
    yield harness
    harness.close()


@pytest.fixture
def person(db: None, client):
    """Log a member of the staff in who has the given permissions; returns the test client."""
    from django.contrib.auth.models import Permission, User

    def login(*codenames: str):
        user = User.objects.create_user(f"staff-{User.objects.count()}", is_staff=True)
        found = Permission.objects.filter(content_type__app_label="django_durable", codename__in=codenames)
        assert len(found) == len(codenames)
        user.user_permissions.set(found)
        client.force_login(user)
        return client

    return login


@pytest.fixture
def boss(admin_client):
    """A client that may do everything."""
    return admin_client
