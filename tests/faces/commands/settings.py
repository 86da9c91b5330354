"""Settings of the processes that the commands' tests start: the suite's database, and the app with their workflows."""

from __future__ import annotations

from tests.settings import DATABASES, DEFAULT_AUTO_FIELD, SECRET_KEY, TIME_ZONE, USE_TZ  # noqa: F401 - Django reads them

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django_durable",
    "tests.faces.commands",
]
