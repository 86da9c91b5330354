"""Instances watched over websockets: `URLRouter(websocket_urlpatterns)`. Needs the extra `websockets`.

Consumers parse, ask a listener of `django_durable.live`, and send; nothing here knows how instances run or change.
"""

from __future__ import annotations

from importlib.util import find_spec

from django.core.exceptions import ImproperlyConfigured

if find_spec("channels") is None:
    raise ImproperlyConfigured(
        "django_durable.websockets needs channels, which is not installed. Install the extra: "
        "pip install 'django-durable-workflows[websockets]'"
    )
