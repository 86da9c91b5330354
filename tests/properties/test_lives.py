"""Any interleaving of starts, messages, operations, work, crashes and time keeps every invariant.

`make crashes` tries for longer (`DURABLE_CRASHES=all`).
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

# Making a failing example smaller takes minutes: ask for it with DURABLE_SHRINK=yes.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate, *([Phase.shrink] if "DURABLE_SHRINK" in os.environ else [])]
EXAMPLES, STEPS = (300, 60) if os.environ.get("DURABLE_CRASHES") == "all" else (20, 40)


@pytest.mark.timeout(1800)
def test_any_interleaving_keeps_every_invariant(db):
    from .machine import Lives

    run_state_machine_as_test(
        Lives,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            report_multiple_bugs=False,
            phases=PHASES,
            suppress_health_check=list(HealthCheck),
        ),
    )
