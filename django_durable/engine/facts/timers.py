"""The facts of timers."""

from __future__ import annotations

from dataclasses import dataclass

from .base import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerCreated(Fact):
    """`fire_at_ms` (epoch) is the history's clock plus `duration_ms`; a replay compares the duration."""

    duration_ms: int
    fire_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired(Fact):
    source_field = "timer_seq"
    timer_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerCanceled(Fact):
    source_field = "timer_seq"
    timer_seq: int
