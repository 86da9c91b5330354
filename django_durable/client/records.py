"""What the client returns, where it is more than what the store returns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..engine.failures import Failure
from ..engine.states import TERMINAL, RuntimeStatus


@dataclass(frozen=True, slots=True)
class StartResult:
    """What a start came to. `created` is False where the instance existed already, with the same input."""

    instance_id: str
    created: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationStatus:
    """One instance as a caller sees it.

    Attributes:
        version: Of the current execution.
        output: What the code returned, decoded by its return hint where the orchestration is registered here.
        error: Why it failed, was canceled or terminated; None otherwise.
        custom_status: What the code published last; None where it published nothing.
        custom_status_version: Grows by one with every turn that published.
        revision: Grows with every visible change.
        blocked_reason: Why it is Blocked; None otherwise.
    """

    instance_id: str
    orchestration: str
    version: str
    runtime_status: RuntimeStatus
    execution_number: int
    output: Any
    error: Failure | None
    custom_status: Any
    custom_status_version: int
    revision: int
    blocked_reason: Failure | None
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    completed_at: datetime | None

    @property
    def finished(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.runtime_status in TERMINAL
