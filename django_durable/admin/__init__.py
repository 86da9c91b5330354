"""The Django admin: looking at instances, steering them, and seeing how the system is. Nothing is edited by hand.

Found by the admin's autodiscovery, so it is imported only where `django.contrib.admin` is installed.
"""

from __future__ import annotations

from .instances import InstanceAdmin
from .requests import RequestAdmin
from .workers import SessionAdmin, WorkerAdmin

__all__ = ["InstanceAdmin", "RequestAdmin", "SessionAdmin", "WorkerAdmin"]
