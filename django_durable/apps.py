"""The Django application."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DurableConfig(AppConfig):
    """Discovers orchestrations and activities. Opens no connection and starts no thread."""

    name = "django_durable"
    label = "django_durable"
    verbose_name = _("Durable workflows")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks  # noqa: F401
        from .registry import autodiscover

        autodiscover()
