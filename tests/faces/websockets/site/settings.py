"""A project with the sockets, the API and a page of its own, for a server process."""

from __future__ import annotations

import json
import os
from datetime import timedelta

from tests.settings import *  # noqa: F403

ROOT_URLCONF = "tests.faces.websockets.site.urls"
DEBUG = True
_given = json.loads(os.environ.get("SITE_DURABLE", "{}"))
DJANGO_DURABLE = {
    name: timedelta(seconds=value) if name in ("LIVE_RECHECK", "LIVE_HEARTBEAT", "LIVE_MAX_STREAM") else value
    for name, value in _given.items()
}
