from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User

from django_durable.testing import Durable

from .orders import registry
from .support import Ear, Somebody


@pytest.fixture
def durable(durable_db) -> Iterator[Durable]:
    """Runs instances on the test's thread, and commits."""
    harness = Durable(registry)
    yield harness
    harness.close()


@pytest.fixture
def boss(durable_db) -> User:
    return User.objects.create_superuser("root")


@pytest.fixture
def user_with(durable_db) -> Callable[..., User]:
    """Makes a user with some model permissions."""

    def make(*codenames: str, username: str = "somebody", **attributes: Any) -> User:
        user = User.objects.create_user(username, **attributes)
        wanted = Permission.objects.filter(content_type__app_label="django_durable", codename__in=codenames)
        assert wanted.count() == len(codenames)
        user.user_permissions.set(wanted)
        return User.objects.get(pk=user.pk)

    return make


@pytest.fixture
def ear_of() -> Iterator[Callable[[Any], Ear]]:
    """Makes a listener of a user, to be used on the event loop of the test."""
    made: list[Ear] = []

    def make(user: Any) -> Ear:
        made.append(Ear(user if hasattr(user, "user") else Somebody(user)))
        return made[-1]

    yield make
    for each in made:
        each.close()
