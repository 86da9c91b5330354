"""Replays histories, those of instances or exported ones, and says of each whether the code fits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .. import redaction
from ..client.viewing import client
from ..engine import transcript
from ..engine.errors import InstanceNotFound, NotRegistered
from ..engine.events import HistoryEvent, OrchestrationRewound, OrchestrationStarted
from ..engine.program import Past
from ..engine.verification import DAMAGED, Mismatch, described, mismatch_of
from .replaying import Exported, Stored, Verdict


def check(subjects: list[Stored | Exported]) -> list[Verdict]:
    """Replay some histories, one after the other; instances that are gone are left out."""
    pasts = _pasts([each for each in subjects if isinstance(each, Stored)])
    found = (
        _of_stored(each, pasts.get(each.id)) if isinstance(each, Stored) else _of_exported(each) for each in subjects
    )
    return [_shown(verdict) for verdict in found if verdict is not None]


def _shown(verdict: Verdict) -> Verdict:
    """Return a verdict as it may be shown; what is replayed is what is stored."""
    if verdict.mismatch is None:
        return verdict
    return replace(verdict, mismatch=redaction.shown(verdict.mismatch, instance_id=verdict.instance_id or ""))


def _pasts(subjects: list[Stored]) -> dict[int, Past]:
    """Read pasts by one query; none where one of them is damaged, and where there is less than was expected."""
    try:
        found = client.read_pasts([(each.id, each.execution) for each in subjects])
    except ValueError:
        return {}
    return {each.id: found[each.id] for each in subjects if each.id in found and _length(found[each.id]) >= each.events}


def _length(past: Past) -> int:
    return len(past.events) + (past.checkpoint.seq if past.checkpoint is not None else 0)


def _of_stored(subject: Stored, past: Past | None) -> Verdict | None:
    environment = client.registry.environment
    mismatch: Mismatch | None = None
    try:
        if past is None:
            past = Past(client.read_stored_history(subject.instance_id))
        if past.events or past.checkpoint:
            mismatch = mismatch_of(environment, past)
        else:
            environment.orchestration(subject.orchestration, subject.version)
    except InstanceNotFound:
        return None
    except (NotRegistered, ValueError) as error:
        mismatch = described(error)
    started = _start_of(past.events if past is not None else ())
    return Verdict(
        label=subject.instance_id,
        instance_id=subject.instance_id,
        execution=subject.execution if started is None else started.execution,
        orchestration=subject.orchestration,
        version=subject.version if started is None else started.version,
        runtime_status=subject.runtime_status,
        mismatch=mismatch,
    )


def _of_exported(subject: Exported) -> Verdict:
    try:
        data: Any = json.loads(subject.text)
        exported = data if isinstance(data, Mapping) else {}
        history, past = transcript.load(exported), transcript.past_of(exported)
    except (ValueError, RecursionError) as error:
        return Verdict(label=subject.label, mismatch=Mismatch(code=DAMAGED, detail=f"No exported history: {error}"))
    started = _start_of(history)
    if started is None:
        mismatch = Mismatch(code=DAMAGED, detail="The history does not begin with the start of an orchestration.")
        return Verdict(label=subject.label, mismatch=mismatch)
    return Verdict(
        label=subject.label,
        instance_id=started.instance_id,
        execution=started.execution,
        orchestration=started.name,
        version=started.version,
        mismatch=mismatch_of(client.registry.environment, past),
    )


def _start_of(history: Sequence[HistoryEvent]) -> OrchestrationStarted | None:
    """Return the start of an execution, with the identity that it has now: its events may be copied from another."""
    started: OrchestrationStarted | None = None
    for event in history:
        if isinstance(event.fact, OrchestrationStarted):
            started = event.fact
        elif isinstance(event.fact, OrchestrationRewound) and started is not None:
            started = event.fact.identify(started)
    return started
