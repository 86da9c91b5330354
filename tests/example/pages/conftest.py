"""People at their browsers: Django's test client, logged in or not."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.test import Client


@pytest.fixture(autouse=True)
def site(settings) -> None:
    """The example's own addresses and rules."""
    settings.ROOT_URLCONF = "example_project.urls"
    settings.DJANGO_DURABLE = {"PERMISSIONS": "example_project.shop.permissions.ShopPermissions"}


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def anonymous(db) -> Client:
    return Client()


@pytest.fixture
def shopper(customer) -> Client:
    """The browser of the customer."""
    return logged_in(customer)


@pytest.fixture
def stranger(db) -> Client:
    """The browser of another customer."""
    return logged_in(User.objects.create_user("eve"))


@pytest.fixture
def clerk(staff) -> Client:
    """The browser of a member of the staff with all permissions of the shop."""
    return logged_in(staff)


@pytest.fixture
def shown():
    """Returns what a page says, without its markup and with single spaces."""

    def read(client: Client, address: str, status: int = 200) -> str:
        response = client.get(address, follow=True)
        assert response.status_code == status, response
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())

    return read
