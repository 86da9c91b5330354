"""The project's rules as a permission class of Django REST framework. It never inherits the project's default."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from ..permissions import DurablePermissions, Right, current_permissions

__all__ = ["DurablePermission", "DurablePermissions", "Right"]


class DurablePermission(BasePermission):
    """Asks `DJANGO_DURABLE["PERMISSIONS"]`: for a view by its `admits`, for an instance by the right that is needed.

    Views of one instance admit everybody and then check the instance: whether it may be seen depends on which it is.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(view.admits(current_permissions(), request.user))

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        return current_permissions().allows(request.user, view.right, obj)
