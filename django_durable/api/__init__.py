"""REST over instances: `path("durable/", include("django_durable.api.urls"))`. Needs the extra `api`.

Views parse, ask the client and the project's permissions, and render; nothing here knows how instances run.
"""

from __future__ import annotations

from importlib.util import find_spec

from django.core.exceptions import ImproperlyConfigured

for _name, _distribution in (("rest_framework", "djangorestframework"), ("drf_spectacular", "drf-spectacular")):
    if find_spec(_name) is None:
        raise ImproperlyConfigured(
            f"django_durable.api needs {_distribution}, which is not installed. Install the extra: "
            f"pip install 'django-durable-workflows[api]'"
        )
