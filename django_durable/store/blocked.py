"""Instances parked because code was missing, for whoever has it."""

from __future__ import annotations

from dataclasses import dataclass

from ..engine.errors import Failure, NotRegistered, type_name
from ..engine.events import failure_to_payload
from ..engine.states import RuntimeStatus
from ..models import Instance

_REASON = failure_to_payload(Failure(type_name(NotRegistered), "")).partition(",")[0]
"""How the stored reason of such an instance begins."""


@dataclass(frozen=True, slots=True)
class BlockedInstance:
    """An instance, and the orchestration that its code belongs to."""

    id: int
    instance_id: str
    orchestration: str
    version: str


def blocked_for_missing_code(*, limit: int, using: str) -> list[BlockedInstance]:
    """Return instances that are Blocked because a name they use was not registered, longest blocked first."""
    rows = Instance.objects.using(using).filter(
        runtime_status=RuntimeStatus.BLOCKED, blocked_reason__startswith=_REASON
    )
    found = rows.order_by("updated_at").values_list("id", "instance_id", "orchestration", "version")
    return [BlockedInstance(*row) for row in found[:limit]]
