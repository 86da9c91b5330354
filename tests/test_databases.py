"""The suite's own footing: which database a run uses, and that no test sees what another left."""

from __future__ import annotations

import subprocess
import sys
from threading import Thread

import pytest

from tests.databases import settings_from_url, url_from_settings

GROUP = "committed"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////tmp/main.sqlite3",
        "sqlite:////tmp/main.sqlite3?tuned",
        "postgresql://?dbname=shop&user=postgres&host=%2Ftmp%2Fsocket",
        "postgresql://?dbname=shop&user=shop&password=a%26b&host=127.0.0.1&port=5433&sslmode=require",
    ],
)
def test_a_url_survives_the_way_through_settings(url: str) -> None:
    assert url_from_settings(settings_from_url(url)) == url


def test_plain_sqlite_is_what_a_new_project_has_with_a_longer_timeout() -> None:
    assert settings_from_url("sqlite:////tmp/main.sqlite3")["OPTIONS"] == {"timeout": 20}


@pytest.mark.parametrize("time", ["first", "second"])
@pytest.mark.usefixtures("durable_db")
def test_committed_rows_are_gone_after_the_test(time: str) -> None:
    from django.contrib.auth.models import Group, Permission

    assert not Group.objects.exists()
    assert Permission.objects.exists(), "rows of the migrations stay"
    Group.objects.create(name=GROUP)


@pytest.mark.usefixtures("durable_db")
def test_another_thread_sees_what_the_test_committed() -> None:
    from django.contrib.auth.models import Group
    from django.db import connection

    seen = []

    def look() -> None:
        seen.append(Group.objects.filter(name=GROUP).exists())
        connection.close()

    Group.objects.create(name=GROUP)
    thread = Thread(target=look)
    thread.start()
    thread.join()

    assert seen == [True]


@pytest.mark.usefixtures("durable_db")
def test_a_child_process_sees_the_same_database(database_environment: dict[str, str], database_vendor: str) -> None:
    from django.contrib.auth.models import Group

    Group.objects.create(name=GROUP)
    program = (
        "import django; django.setup();"
        "from django.db import connection; from django.contrib.auth.models import Group;"
        "print(connection.vendor, *Group.objects.values_list('name', flat=True))"
    )

    result = subprocess.run([sys.executable, "-c", program], env=database_environment, capture_output=True, text=True)

    assert result.stdout.split() == [database_vendor, GROUP], result.stderr


@pytest.mark.django_db
def test_the_run_uses_the_database_that_was_asked_for(database_vendor: str) -> None:
    from django.db import connection

    assert connection.vendor == database_vendor
