"""Who may do what with instances in the admin.

Model permissions, as everywhere in the admin. The project's rules (`DJANGO_DURABLE["PERMISSIONS"]`) take away from
these what they do not allow for an instance; they open nothing here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from ..models import Instance
from ..permissions import Permitted, Right, current_permissions

RIGHTS = {
    "start": Right.START,
    "signal": Right.SIGNAL,
    "send": Right.SEND,
    "cancel": Right.CANCEL,
    "terminate": Right.TERMINATE,
    "suspend": Right.SUSPEND,
    "retry": Right.RETRY,
    "prune": Right.PRUNE,
    "remove": Right.DELETE,
    "payload": Right.VIEW_PAYLOAD,
}
"""What the admin calls the rights; its own `has_delete_permission` is another one."""


def right(name: str) -> Callable[..., bool]:
    """Make `has_<name>_permission`, which the admin asks before it offers an action."""
    return lambda model_admin, request: model_admin.may(request, name)


class GuardedAdmin(admin.ModelAdmin):
    """Nothing can be added, edited or deleted by hand; what else can be done asks for its own right."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request) and (obj is None or self.rules_allow(request, Right.VIEW, obj))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # The admin's own deletion knows nothing of trees and leases; the operation asks for the same permission.
        return False

    def may(self, request: HttpRequest, name: str, instance: Instance | None = None) -> bool:
        """Tell whether a user has a right, on an instance where one is given; who may not see it has none."""
        wanted = RIGHTS[name]
        return (
            self.has_view_permission(request, instance)
            and request.user.has_perm(f"django_durable.{wanted.codename}")
            and (instance is None or self.rules_allow(request, wanted, instance))
        )

    def rules_allow(self, request: HttpRequest, wanted: Right, instance: Permitted) -> bool:
        """Ask the project's rules."""
        return current_permissions().allows(request.user, wanted, instance)

    def may_read(self, request: HttpRequest, instance: Instance, stream: str) -> bool:
        """Tell whether a user may read one stream of an instance."""
        return self.may(request, "payload") and current_permissions().allows_reading(request.user, instance, stream)

    def may_send(self, request: HttpRequest, instance: Instance, stream: str) -> bool:
        """Tell whether a user who may send on streams of an instance may do so on this one."""
        return current_permissions().can_send_to_stream(request.user, instance, stream)

    has_start_permission = right("start")
    has_signal_permission = right("signal")
    has_send_permission = right("send")
    has_cancel_permission = right("cancel")
    has_terminate_permission = right("terminate")
    has_suspend_permission = right("suspend")
    has_retry_permission = right("retry")
    has_prune_permission = right("prune")
    has_remove_permission = right("remove")
    has_payload_permission = right("payload")
