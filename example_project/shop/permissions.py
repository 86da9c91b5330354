"""Who may watch which workflow, over REST and websockets: named in `DJANGO_DURABLE["PERMISSIONS"]`."""

from __future__ import annotations

from typing import Any

from django_durable.permissions import DurablePermissions, Permitted


class ShopPermissions(DurablePermissions):
    """Customers watch their own orders and conversations. Everything else takes Django's permissions.

    Watching is `can_view`: a status and a custom status. Input, output, history and operations stay closed.
    """

    def can_view(self, user: Any, instance: Permitted) -> bool:
        return is_own(user, instance.instance_id) or super().can_view(user, instance)


def is_own(user: Any, instance_id: str) -> bool:
    """Tell by the id alone whether an instance was started for a customer; only `services.py` starts any.

    The `pk` of an anonymous user is None, which no id has.
    """
    return user is not None and instance_id.startswith((f"order-{user.pk}-", f"chat-{user.pk}-"))
