"""`DATABASE_URL` of the example."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from example_project.database import database_from_url


def test_a_sqlite_url_names_a_file_and_sets_wal_and_immediate_transactions() -> None:
    found = database_from_url("sqlite:////srv/shop.sqlite3")
    assert found["NAME"] == "/srv/shop.sqlite3"
    assert found["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode = WAL" in found["OPTIONS"]["init_command"]


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_a_postgresql_url_is_taken_apart_and_the_rest_becomes_options(scheme: str) -> None:
    assert database_from_url(f"{scheme}://shop:s%26cret@db.example:5433/orders?sslmode=require") == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "orders",
        "USER": "shop",
        "PASSWORD": "s&cret",
        "HOST": "db.example",
        "PORT": "5433",
        "OPTIONS": {"sslmode": "require"},
    }


def test_a_unix_socket_may_be_the_host() -> None:
    assert database_from_url("postgresql:///orders?host=/run/postgresql")["HOST"] == "/run/postgresql"


def test_another_scheme_is_refused_with_an_example_of_what_is_expected() -> None:
    with pytest.raises(
        ImproperlyConfigured, match=r"'mysql', expected sqlite or postgresql\. Write it as postgresql://"
    ):
        database_from_url("mysql://localhost/shop")
