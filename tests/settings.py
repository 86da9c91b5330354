"""Settings of the suite: the example project, on the database whose URL `tests.plugin` leaves in the environment."""

from __future__ import annotations

import os

from example_project.settings import (  # noqa: F401 - Django reads them here
    ASGI_APPLICATION,
    DEFAULT_AUTO_FIELD,
    INSTALLED_APPS,
    LOGIN_REDIRECT_URL,
    LOGOUT_REDIRECT_URL,
    MIDDLEWARE,
    PAYMENT_SECONDS,
    REST_FRAMEWORK,
    ROOT_URLCONF,
    STATIC_URL,
    TEMPLATES,
    TIME_ZONE,
    USE_TZ,
    WORD_SECONDS,
)
from tests.databases import VARIABLE, settings_from_url

SECRET_KEY = "tests"
ALLOWED_HOSTS = ["*"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# In memory where nothing chose a database: `makemigrations --check` and mypy load these settings, and leave no file.
DATABASES = {"default": settings_from_url(os.environ.get(VARIABLE, "sqlite:///:memory:"))}
