"""The project's rules as a permission class of Django REST framework. It never inherits the project's default."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from ..permissions import current_permissions


class DurablePermission(BasePermission):
    """Asks `DJANGO_DURABLE["PERMISSIONS"]` who is admitted to a view, see `DurableView.admits`.

    Views of one instance admit everybody and then check the instance, see `DurableView.checked`: whether somebody is
    told that it exists depends on which it is.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(view.admits(current_permissions(), request.user))
