"""Orchestration code that does not come back is ended, and harms only its own instance.

Code that cannot be ended: `tests/acceptance/test_poison.py`.
"""

from __future__ import annotations

import sys
import threading
from datetime import timedelta

import pytest

from django_durable.client import Client
from django_durable.engine.errors import TurnTimeout
from django_durable.registry import Registry
from django_durable.worker.watchdog import OutOfTime, Watchdog

from .support import blocked_reason, drained, output, running, start, wait_for_status

LEASE = timedelta(seconds=1)


@pytest.mark.parametrize("style", ["generator", "async"])
@pytest.mark.parametrize("place", ["first turn", "replay"])
def test_code_that_spins_is_blocked_and_others_go_on(durable_db: None, registry: Registry, style, place) -> None:
    """It also is where the spinning begins when the instance is taken up again: a deploy added it."""
    spins = threading.Event()

    def spin() -> None:
        while spins.is_set():
            pass

    @registry.orchestration("spinning" if style == "generator" else "other")
    def spinning(ctx):
        spin()
        yield ctx.wait_for_event("never")

    @registry.orchestration("spinning" if style == "async" else "other")
    async def spinning_async(ctx):
        spin()
        await ctx.wait_for_event("never")

    instance = start(registry, "spinning")
    if place == "replay":
        drained(registry).close()
        Client(registry).raise_event(instance, "news", 1)
    spins.set()
    with running(registry, lease=LEASE) as worker:
        wait_for_status(instance, "Blocked")
        other = start(registry, "chain", 2)
        wait_for_status(other, "Completed")
        assert worker.running
    reason = blocked_reason(instance)
    assert reason["error_type"].endswith("TurnTimeout")
    assert "ran for half a lease" in reason["message"]
    assert output(other) == 4


def test_a_blocked_spinner_goes_on_when_it_is_corrected_and_resumed(durable_db: None, registry: Registry) -> None:
    spins = threading.Event()
    spins.set()

    @registry.orchestration("spinning")
    def spinning(ctx):
        number = yield ctx.schedule_activity("double", 4)
        while spins.is_set():
            pass
        return number

    instance = start(registry, "spinning")
    with running(registry, lease=LEASE):
        wait_for_status(instance, "Blocked")
        spins.clear()
        Client(registry).resume_instance(instance)
        wait_for_status(instance, "Completed")
    assert output(instance) == 8


class Looked:
    """A watchdog whose looks a test takes itself, while code spins on a thread of its own."""

    def __init__(self) -> None:
        self.watchdog = Watchdog()
        self.entered = threading.Event()
        self.open = threading.Event()

    def spin(self) -> str:
        self.entered.set()
        while not self.open.is_set():
            pass
        return "through"


def test_a_turn_is_left_alone_while_it_was_not_seen_too_often() -> None:
    looked, results = Looked(), []
    thread = threading.Thread(target=lambda: results.append(looked.watchdog.watch("it", looked.spin)))
    thread.start()
    looked.entered.wait()
    for _ in range(3):
        looked.watchdog.look(3)
    looked.open.set()
    thread.join()
    assert results == ["through"]


def test_each_turn_is_counted_anew() -> None:
    watchdog = Watchdog()
    for _ in range(10):
        assert watchdog.watch("it", lambda: watchdog.look(2)) is None


def test_whoever_is_in_no_turn_is_not_interrupted() -> None:
    watchdog = Watchdog()
    watchdog.watch("it", lambda: None)
    for _ in range(10):
        watchdog.look(0)
    assert watchdog.gave_up is None


def test_what_has_not_arrived_when_a_turn_is_left_never_arrives() -> None:
    """The thread looks at itself, so the interruption arrives at some step of leaving, or not at all."""
    watchdog = Watchdog()
    for _ in range(2_000):
        with pytest.raises(TurnTimeout):
            watchdog.watch("it", lambda: watchdog.look(0))
    assert sum(range(1_000)) == 499_500


def test_code_that_catches_every_error_is_given_up_and_taken_back_where_it_returns() -> None:
    looked, caught = Looked(), threading.Event()

    def stubborn() -> None:
        while not looked.open.is_set():
            try:
                while not looked.open.is_set():
                    looked.spin()
            except OutOfTime:
                caught.set()

    def main() -> None:
        with pytest.raises(TurnTimeout):
            looked.watchdog.watch("it", stubborn)

    thread = threading.Thread(target=main)
    thread.start()
    looked.entered.wait()
    while looked.watchdog.gave_up is None:
        looked.watchdog.look(2)
    assert looked.watchdog.gave_up == "it"
    assert caught.wait(30)
    looked.open.set()
    thread.join()
    assert looked.watchdog.gave_up is None


def test_interruptions_from_another_thread_end_turns_and_reach_nothing_else() -> None:
    """One thread looks as often as it can, while turns are entered and left under its eyes."""
    watchdog, ended, turns = Watchdog(), threading.Event(), 3_000

    def look() -> None:
        while not ended.is_set():
            watchdog.look(0)

    looking, interval, interrupted = threading.Thread(target=look), sys.getswitchinterval(), 0
    sys.setswitchinterval(1e-6)
    looking.start()
    try:
        for number in range(turns):
            try:
                watchdog.watch("it", lambda: sum(1 for _ in range(number)))  # noqa: B023 - called at once
            except TurnTimeout:
                interrupted += 1
    finally:
        ended.set()
        looking.join()
        sys.setswitchinterval(interval)
    assert watchdog.gave_up is None
    assert interrupted
