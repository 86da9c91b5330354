"""The Django application."""

from __future__ import annotations

import importlib
import pkgutil
import sys

from django.apps import AppConfig, apps
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _

from .conf import settings


class DurableConfig(AppConfig):
    """Discovers orchestrations and activities. Opens no connection and starts no thread."""

    name = "django_durable"
    label = "django_durable"
    verbose_name = _("Durable workflows")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # The checks register themselves, and the client binds itself to the default registry.
        from . import checks, client  # noqa: F401

        discover()


def discover() -> None:
    """Import the modules named by `WORKFLOW_MODULES` in every installed app, and what is in those that are packages.

    An error in such a module is raised: an orchestration that silently is not there would block its instances.
    """
    for name in settings.WORKFLOW_MODULES:
        autodiscover_modules(name)
        for config in apps.get_app_configs():
            _import_submodules(f"{config.name}.{name}")


def _import_submodules(package: str) -> None:
    module = sys.modules.get(package)
    for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{package}."):
        importlib.import_module(found.name)
