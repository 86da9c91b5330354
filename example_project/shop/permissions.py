"""Who may watch which workflow, over REST and websockets: named in `DJANGO_DURABLE["PERMISSIONS"]`."""

from __future__ import annotations

from typing import Any

from django_durable.permissions import DurablePermissions, Permitted


class ShopPermissions(DurablePermissions):
    """Customers watch their own orders, conversations and guides. Everything else takes Django's permissions.

    Watching is `can_view`: a status and a custom status. Input, output, history and operations stay closed, and of
    streams all but what a guide tells.
    """

    def can_view(self, user: Any, instance: Permitted) -> bool:
        return is_own(user, instance.instance_id) or super().can_view(user, instance)

    def can_read_stream(self, user: Any, instance: Permitted, stream: str) -> bool:
        own_story = stream == "story" and is_own(user, instance.instance_id)
        return own_story or super().can_read_stream(user, instance, stream)


def is_own(user: Any, instance_id: str) -> bool:
    """Tell by the id alone whether an instance was started for a customer; only `services.py` starts any.

    The `pk` of an anonymous user is None, which no id has.
    """
    kinds = ("order", "chat", "guide")
    return user is not None and instance_id.startswith(tuple(f"{kind}-{user.pk}-" for kind in kinds))
