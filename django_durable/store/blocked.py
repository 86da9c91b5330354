"""Instances parked because code was missing, for whoever has it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import reduce
from operator import or_

from django.db.models import Q

from ..engine.errors import NotRegistered
from ..engine.events import failure_to_payload
from ..engine.failures import Failure, type_name
from ..engine.states import RuntimeStatus
from ..models import Instance

_REASON = failure_to_payload(Failure(type_name(NotRegistered), "")).partition(",")[0]
"""How the stored reason of such an instance begins."""


def blocked_for_missing_code(
    known: Mapping[str, Collection[str]], *, besides: Collection[int], limit: int, using: str
) -> dict[int, str]:
    """Return instances that are Blocked because their code was not registered, longest blocked first.

    Args:
        known: The versions of each orchestration whose instances are asked for: thousands that wait for code which
            nobody has must not stand before those that could go on.
        besides: Surrogate ids to leave out.
    Returns: ids by surrogate id.
    """
    code = (Q(orchestration=name, version__in=versions) for name, versions in known.items())
    rows = Instance.objects.using(using).filter(
        reduce(or_, code, Q(pk__in=())), runtime_status=RuntimeStatus.BLOCKED, blocked_reason__startswith=_REASON
    )
    found = rows.exclude(id__in=besides).order_by("updated_at")
    return dict(found.values_list("id", "instance_id")[:limit])
