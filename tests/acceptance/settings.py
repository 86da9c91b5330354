"""Settings of the worker processes: the suite's database, and the app with the acceptance workflows.

`ACCEPTANCE_DURABLE` holds `DJANGO_DURABLE` as JSON, durations in seconds. With `ACCEPTANCE_WITHOUT_CODE`, a worker has
no orchestrations, as after a bad deployment.
"""

from __future__ import annotations

import json
import os
from datetime import timedelta

from tests.settings import DATABASES, DEFAULT_AUTO_FIELD, SECRET_KEY, TIME_ZONE, USE_TZ  # noqa: F401 - Django reads them

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django_durable",
]
if "ACCEPTANCE_WITHOUT_CODE" not in os.environ:
    INSTALLED_APPS.append("tests.acceptance")

DURATIONS = {"LEASE", "POLL_INTERVAL", "SHUTDOWN_TIMEOUT", "SESSION_IDLE_TIMEOUT"}
DJANGO_DURABLE = {
    name: timedelta(seconds=value) if name in DURATIONS else value
    for name, value in json.loads(os.environ.get("ACCEPTANCE_DURABLE", "{}")).items()
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"django_durable": {"handlers": ["console"], "level": "INFO"}},
}
