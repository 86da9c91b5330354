"""Who may do what with which instance: one class, asked by every face that answers other people than operators.

Closed by default: each right is a Django model permission. A project that allows more, or less, by the instance names a
subclass in `DJANGO_DURABLE["PERMISSIONS"]`:

    class ShopPermissions(DurablePermissions):
        def can_view(self, user, instance):
            return instance.instance_id.startswith(f"order-{user.pk}-") or super().can_view(user, instance)
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Protocol

from django.utils.module_loading import import_string

from .conf import settings

APP = "django_durable"


class Right(Enum):
    """Everything that somebody may be allowed, with the model permission that allows it by default."""

    VIEW = "view", "view_instance"
    INSPECT = "inspect", "view_instance"
    VIEW_PAYLOAD = "view_payload", "view_payload"
    START = "start", "start_instance"
    SIGNAL = "signal", "signal_instance"
    SEND = "send", "send_to_stream"
    ANSWER = "answer", "answer_promise"
    CANCEL = "cancel", "cancel_instance"
    TERMINATE = "terminate", "terminate_instance"
    SUSPEND = "suspend", "suspend_instance"
    RETRY = "retry", "retry_instance"
    PRUNE = "prune", "prune_instance"
    DELETE = "delete", "delete_instance"
    VIEW_WORKERS = "view_workers", "view_worker"
    VIEW_METRICS = "view_metrics", "view_instance"

    @property
    def codename(self) -> str:
        """The model permission, for example `"cancel_instance"`."""
        return self.value[1]


class Permitted(Protocol):
    """What a rule may know of an instance; the client's status records, summaries and infos have more."""

    @property
    def instance_id(self) -> str: ...
    @property
    def orchestration(self) -> str: ...
    @property
    def runtime_status(self) -> str: ...


class DurablePermissions:
    """The rules. Each is asked once per instance shown, so a rule of one's own should not query.

    `user` may be anonymous. Whoever may not view an instance is told that there is none.
    """

    def can_view(self, user: Any, instance: Permitted) -> bool:
        """Whether a user sees an instance at all: its status and custom status, nothing it was given or returned."""
        return self.has(user, Right.VIEW)

    def can_inspect(self, user: Any, instance: Permitted) -> bool:
        """Whether a user who sees an instance also sees how it works: history, executions, tree, worker."""
        return self.has(user, Right.INSPECT)

    def can_view_payload(self, user: Any, instance: Permitted) -> bool:
        """Whether a user who sees an instance also sees input, output, errors, KV, and payloads of its history."""
        return self.has(user, Right.VIEW_PAYLOAD)

    def can_read_stream(self, user: Any, instance: Permitted, stream: str) -> bool:
        """Whether a user who sees an instance also reads one of its streams: by default, whoever sees payloads."""
        return self.can_view_payload(user, instance)

    def can_change(self, user: Any, instance: Permitted, right: Right) -> bool:
        """Whether a user may signal, answer, cancel, terminate, suspend, resume, retry, fork, prune or delete it.

        Trimming a stream is pruning.
        """
        return self.has(user, right)

    def can_send_to_stream(self, user: Any, instance: Permitted, stream: str) -> bool:
        """Whether a user may send on one stream of an instance, and close it. A signal is a stream."""
        return self.can_change(user, instance, Right.SEND)

    def can_list(self, user: Any) -> bool:
        """Whether a user may list instances; of those, only what `can_view` allows is shown."""
        return self.has(user, Right.VIEW)

    def can_start(self, user: Any, orchestration: str) -> bool:
        """Whether a user may start instances of an orchestration, and see what input it takes."""
        return self.has(user, Right.START)

    def can_view_system(self, user: Any, right: Right) -> bool:
        """Whether a user may see the workers, or the metrics."""
        return self.has(user, right)

    def allows(self, user: Any, right: Right, instance: Permitted) -> bool:
        """Answer for any right on one instance. Looking deeper needs the right to view it as well."""
        match right:
            case Right.VIEW:
                return self.can_view(user, instance)
            case Right.INSPECT:
                return self.can_view(user, instance) and self.can_inspect(user, instance)
            case Right.VIEW_PAYLOAD:
                return self.can_view(user, instance) and self.can_view_payload(user, instance)
            case _:
                return self.can_change(user, instance, right)

    def allows_reading(self, user: Any, instance: Permitted, stream: str) -> bool:
        """Answer for one stream of an instance, which needs the right to view that as well."""
        return self.can_view(user, instance) and self.can_read_stream(user, instance, stream)

    def has(self, user: Any, right: Right) -> bool:
        """Whether a user has the model permission of a right, for every instance."""
        return user is not None and bool(user.has_perm(f"{APP}.{right.codename}"))


def current_permissions() -> DurablePermissions:
    """Return the project's rules.

    Raises: ImportError: `DJANGO_DURABLE["PERMISSIONS"]` names no class; correct the setting.
    """
    made: DurablePermissions = import_string(settings.PERMISSIONS)()
    return made
