from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import Permission, User
from rest_framework.test import APIClient

from django_durable.api.views.base import DurableView
from django_durable.client.viewing import ViewingClient
from django_durable.testing import Durable

from .orders import registry


def address(instance_id: str, rest: str = "") -> str:
    """Return the address of an instance as a front end writes it that encodes twice."""
    return f"/durable/instances/{quote(quote(instance_id, safe=''), safe='')}/{rest}"


@pytest.fixture(autouse=True)
def mounted(settings) -> None:
    settings.ROOT_URLCONF = "tests.faces.api.urls"


@pytest.fixture
def durable(db, monkeypatch) -> Iterator[Durable]:
    """Runs instances on this thread; the API is that of its registry."""
    harness = Durable(registry)
    monkeypatch.setattr(DurableView, "client", ViewingClient(registry, clock=harness.clock.now))
    yield harness
    harness.close()


@pytest.fixture
def user_with(db) -> Callable[..., User]:
    """Makes a user with some model permissions."""

    def make(*codenames: str, username: str = "somebody", **attributes: Any) -> User:
        user = User.objects.create_user(username, **attributes)
        wanted = Permission.objects.filter(content_type__app_label="django_durable", codename__in=codenames)
        assert wanted.count() == len(codenames)
        user.user_permissions.set(wanted)
        return User.objects.get(pk=user.pk)

    return make


@pytest.fixture
def api_of() -> Callable[[Any], APIClient]:
    """Makes a client that is logged in as a user, or as nobody."""

    def make(user: Any) -> APIClient:
        made = APIClient()
        if user is not None:
            made.force_authenticate(user)
        return made

    return make


@pytest.fixture
def api(db, api_of) -> APIClient:
    """A client that may do everything."""
    return api_of(User.objects.create_superuser("root"))
