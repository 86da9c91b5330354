"""The assertion: whatever the moment at which a worker is killed, a scenario comes to the same."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connections

from ...client import Client
from ...conf import settings
from ...engine.errors import InvalidArgument
from ...registry import Registry, default as default_registry
from . import traces
from .play import Play, Scenario


@dataclass(frozen=True, slots=True)
class CrashReport:
    """What was tried.

    Attributes:
        boundaries: How many the scenario has, played without a crash.
        kills: How many workers were killed, each at another boundary, and replaced.
        seconds: How long all of it took.
    """

    boundaries: int
    kills: int
    seconds: float


def assert_survives_every_crash(
    scenario: Scenario,
    *,
    effects: Callable[[], Any] | None = None,
    sample: int | None = None,
    registry: Registry | None = None,
    using: str | None = None,
    **options: Any,
) -> CrashReport:
    """Check that a scenario comes to the same whenever its worker process is killed, and the next one goes on.

    The worker is killed before and after each statement and each commit, one boundary after the other. Each time, the
    scenario is played from its start; what it added to the tables is deleted afterwards. Every instance has to end as
    it does undisturbed, with the same outputs, KV and queues; no activity may be called whose outcome was recorded;
    and nothing may be left over: no tasks, messages, leases, children.

    Args:
        scenario: Called with a client; a generator. It starts instances, sends them events, cancels them, and between
            that it yields: None for "the worker runs until nothing is due", a timedelta to move the worker's clock by
            that much first, each thing running at its own time.
        effects: Returns what must have happened exactly once, such as the rows that atomic activities wrote: equal to
            what it returns after the undisturbed play.
        sample: Kill at so many boundaries, spread evenly, and not at all of them.
        registry: Whose code runs; by default what the decorators registered.
        using: The database alias; by default `DJANGO_DURABLE["DATABASE"]`.
        options: Of the workers, see `WorkerOptions`.
    Raises:
        AssertionError: names the boundary, and what was otherwise.
        InvalidArgument: nothing can be killed here: inside a transaction, in memory, or without `os.fork`.
    """
    trial = _Trial(scenario, effects, registry or default_registry, using or settings.DATABASE, options)
    started = time.monotonic()
    total = trial.undisturbed()
    kills = sum(trial.killed_at(number) for number in _chosen(total, sample))
    return CrashReport(boundaries=total, kills=kills, seconds=time.monotonic() - started)


class _Trial:
    """One scenario, what it came to without a crash, and the rows that were there before."""

    def __init__(
        self,
        scenario: Scenario,
        effects: Callable[[], Any] | None,
        registry: Registry,
        using: str,
        options: dict[str, Any],
    ) -> None:
        _check_possible(using)
        self._scenario = scenario
        self._effects = effects or (lambda: None)
        self._registry = registry
        self._using = using
        self._options = options
        self._client = Client(registry, using=using)
        self._rows = traces.Rows(using)
        self._outcome: dict[str, Any] = {}

    def undisturbed(self) -> int:
        """Play it without a crash. Returns: how many boundaries it has."""
        play, self._outcome = self._perform(None)
        return len(play.reached)

    def killed_at(self, number: int) -> bool:
        """Play it with a crash. Returns: False where the worker came to the end before it reached that boundary."""
        play, outcome = self._perform(number)
        with _told(play):
            _check_same(outcome, self._outcome)
            again = ", ".join(f"{call.name} (event {call.seq}, attempt {call.attempt})" for call in play.called_again)
            if again:
                raise AssertionError(f"Called again, though the outcome was recorded: {again}.")
        return play.died

    def _perform(self, dies_at: int | None) -> tuple[Play, dict[str, Any]]:
        play = Play(self._registry, {**self._options, "using": self._using}, dies_at)
        try:
            with _told(play):
                play.perform(self._scenario, self._client)
                traces.check_whole(self._client)
                return play, {**traces.outcome_of(self._using), "effects": self._effects()}
        finally:
            self._rows.restore()


@contextmanager
def _told(play: Play) -> Iterator[None]:
    """Say in a failed check where the worker was killed."""
    try:
        yield
    except AssertionError as error:
        if not play.died:
            raise
        raise AssertionError(f"Killed at boundary {len(play.reached)}, {play.reached[-1]}: {error}") from error
    except Exception as error:
        if play.died:
            error.add_note(f"The worker was killed at boundary {len(play.reached)}, {play.reached[-1]}.")
        raise


def _check_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for name in sorted({*found, *expected}):
        if found.get(name) != expected.get(name):
            raise AssertionError(f"{name} is {found.get(name)!r}, was {expected.get(name)!r} without a crash.")


def _chosen(total: int, sample: int | None) -> list[int]:
    """Return the numbers of the boundaries to kill at, ascending."""
    if sample is None or sample >= total:
        return list(range(1, total + 1))
    return sorted({1 + round(place * (total - 1) / max(sample - 1, 1)) for place in range(sample)})


def _check_possible(using: str) -> None:
    connection: Any = connections[using]
    if not hasattr(os, "fork"):
        raise InvalidArgument("This system has no os.fork, so no worker can be killed here. Run this test elsewhere.")
    if connection.in_atomic_block:
        raise InvalidArgument(
            f"The test runs in a transaction of {using!r}, which no other process sees. Use "
            f"@pytest.mark.django_db(transaction=True), or a TransactionTestCase."
        )
    if connection.vendor == "sqlite" and connection.is_in_memory_db():
        raise InvalidArgument(
            f"The test database of {using!r} is in memory, where no other process sees it. Name a file in its "
            f'settings: "TEST": {{"NAME": BASE_DIR / "test.sqlite3"}}.'
        )
