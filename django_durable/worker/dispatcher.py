"""Makes turns: one thread, one connection, every write of the engine.

Theory of operation.

1. A round takes what ended in this worker and what waits in the database, runs the turns that follow from it, and
   commits them together. What ends while a commit is under way is in the next round: the busier the worker, the larger
   the batches. Nothing waits for a batch to fill, but for the moments that short activities take, which end together.
2. A completion goes one of two ways. Where the instance is *held* (this worker kept its lease, see `ledger`), it joins
   the instance's next turn in memory and is committed with that turn. Otherwise it is written to the instance's inbox,
   where whoever gets the lease finds it.
3. A committed turn may start activities *eagerly*: their rows are inserted already leased to this worker, as many as it
   has room for; the rest is left for everybody. Nothing starts before its schedule is committed. While tasks of other
   instances are known to wait, half of the room is theirs.
4. A commit names the lease token and the place it starts from. A lost turn leaves nothing; its completions then go to
   the inbox one by one, so that only those are lost whose own tasks are gone.
5. What ended here stays in `_unwritten`, and its tasks stay leased, until a write succeeded. A round that a database
   error interrupts is run again: guards make the repetition safe, and no execution whose commit is in doubt stays in
   memory.
6. An instance whose turn the engine refuses is parked as Blocked, alone, with the reason; so is one whose turns fail to
   commit as often as an activity may be delivered.
7. The database is looked at for a reason: a hint, something that becomes due, room that became free while tasks wait, a
   write of this worker's own that made work, or the poll interval. A lost hint costs one poll interval.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..engine.events import (
    ActivityCompleted,
    ActivityFailed,
    ActivityScheduled,
    OrchestrationCanceled,
    OrchestrationFailed,
)
from ..engine.failures import Failure
from ..engine.steps import is_local
from ..store import activities, claims, due, turns as store
from ..store.records import ClaimedInstance, SessionLimits, TagFilter, TurnCommit, TurnOutcome
from .aftermath import Aftermath, aftermath_of, next_due
from .attempts import Attempt
from .clock import Clock
from .doorbell import Doorbell
from .eager import choose_eager
from .hot import HotExecutions, Place
from .instrumentation import Instrumentation
from .ledger import Held, Ledger
from .lookout import Lookout
from .lookup import ActivityLookup
from .outcomes import Finish, HandBack, Outcome, Recorded
from .pool import Executor
from .settling import settle
from .stepfinder import StepFinder
from .tracing import NoTracing
from .turns import Turn, TurnRunner, commit_of

STALE_SECONDS = 1.0
"""How long an attempt waits for a slot here before it is handed to other workers."""

Completions = dict[int, list[tuple[Attempt, ActivityCompleted | ActivityFailed]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchOptions:
    """What a dispatcher works by. `poll` is the longest time without a look at the database."""

    worker_id: str
    using: str
    tags: TagFilter
    sessions: SessionLimits | None
    lease: timedelta
    poll: timedelta
    batch: int
    max_deliveries: int


class Dispatcher:
    """See the module docstring. All methods are for the one thread that dispatches."""

    def __init__(
        self,
        options: DispatchOptions,
        *,
        clock: Clock,
        doorbell: Doorbell,
        executor: Executor,
        hot: HotExecutions,
        instrumentation: Instrumentation,
        ledger: Ledger,
        lookup: ActivityLookup,
        runner: TurnRunner,
        tracing: NoTracing,
    ) -> None:
        self._options = options
        self._clock = clock
        self._doorbell = doorbell
        self._executor = executor
        self._hot = hot
        self._instrumentation = instrumentation
        self._ledger = ledger
        self._lookup = lookup
        self._runner = runner
        self._steps = StepFinder(runner, hot, ledger, clock=clock, using=options.using)
        self._tracing = tracing
        self._lookout = Lookout(options.poll)
        self._unwritten: dict[Attempt, Outcome] = {}
        self._to_release: dict[int, int] = {}
        self._backlog = False

    # Rounds.

    def step(self) -> bool:
        """Run one round. Returns: whether it found anything to do.

        Raises: DatabaseFault: the database failed; `look`, then run another round.
        """
        if self._doorbell.take_hint():
            self._lookout.look(tasks=self._doorbell.take_tasks())
        begun = self._clock.now()
        self._lookout.update(begun)
        self._executor.wait_for_short()
        ended = self._collect()
        completions = self._settle()
        claimed = self._claim_instances(busy=bool(completions))
        if claimed and self._collect():  # What ended meanwhile is in this round, too.
            ended, completions = True, self._settle()
        turns = self._turns(claimed, completions)
        if turns:
            self._take(turns)
        self._release()
        busy = self._claim_tasks() or bool(turns) or ended
        self._ask_what_is_due(begun, busy=busy)
        return busy

    def wind_down(self, *, abandon: bool) -> bool:
        """Claim nothing, let go of all instances, and write what has ended; hand back what did not start.

        Args:
            abandon: Also hand back what still runs.
        Returns: whether nothing is in hand any more.
        Raises: DatabaseFault: call it again.
        """
        for instance, token in self._ledger.tokens().items():
            self._to_release[instance] = token
            self._ledger.drop(instance)
        self._collect()
        unfinished = self._executor.recall(self._clock.monotonic())
        unfinished += self._executor.abandon() if abandon else []
        self._note([(attempt, HandBack()) for attempt in unfinished])
        self._settle()
        self._release()
        return self._ledger.empty()

    def close(self) -> None:
        """Drop every execution from memory."""
        self._hot.clear()

    def look(self) -> None:
        """Have the next round look at everything: a database error leaves nothing known for sure."""
        self._lookout.look()

    def has_nothing(self) -> bool:
        """Tell whether nothing is in hand."""
        return self._ledger.empty()

    def seconds_to_sleep(self) -> float:
        """Return how long there will be nothing to do, unless the doorbell rings."""
        sleep = self._lookout.seconds(self._clock.now())
        deadline = self._executor.next_deadline()
        if deadline is not None:
            sleep = min(sleep, max(deadline - self._clock.monotonic(), 0.0))
        return sleep if self._ledger.empty() else min(sleep, STALE_SECONDS)

    # What ended here.

    def _collect(self) -> bool:
        ended = self._executor.collect()
        stale = self._executor.recall(self._clock.monotonic() - STALE_SECONDS)
        ended += [(attempt, HandBack()) for attempt in stale]
        self._note(ended)
        return bool(ended)

    def _note(self, ended: list[tuple[Attempt, Outcome]]) -> None:
        for attempt, outcome in ended:
            task = attempt.task
            self._unwritten[attempt] = outcome
            self._instrumentation.activity_ended(task.name, task.instance_id, task.attempt, outcome)

    def _settle(self) -> Completions:
        """Write the outcomes that no turn takes. Returns: the completions that turns of held instances take."""
        completions: Completions = {}
        rest: list[tuple[Attempt, Outcome]] = []
        for attempt, outcome in self._unwritten.items():
            key = attempt.task.key
            held = self._ledger.held(key.instance)
            if isinstance(outcome, Finish) and held is not None and held.place.execution_number == key.execution:
                completions.setdefault(key.instance, []).append((attempt, outcome.fact))
            else:
                rest.append((attempt, outcome))
        if rest:
            self._write(rest)
        return completions

    def _write(self, rest: list[tuple[Attempt, Outcome]]) -> None:
        options = self._options
        for done, lost in settle(rest, lease=options.lease, now=self._clock.now(), using=options.using):
            self._written(done)
            if lost:
                self._instrumentation.activity_leases_lost(lost)
        self._lookout.expect(next_due(outcome for _, outcome in rest))
        if any(isinstance(outcome, Finish | Recorded) for _, outcome in rest):
            self._lookout.inbox = True

    def _written(self, attempts: list[Attempt]) -> None:
        for attempt in attempts:
            self._unwritten.pop(attempt, None)
        self._ledger.remove(attempts)

    # Turns.

    def _claim_instances(self, *, busy: bool) -> list[ClaimedInstance]:
        options, now = self._options, self._clock.now()
        if not self._lookout.takes_messages(now, busy=busy):
            return []
        claimed = claims.claim_instances(
            options.worker_id, limit=options.batch, lease=options.lease, now=now, using=options.using
        )
        full = any(len(claim.messages) >= claims.MESSAGES_PER_CLAIM for claim in claimed)
        self._lookout.inbox = full or len(claimed) >= options.batch
        self._instrumentation.count("instances_claimed", len(claimed))
        return claimed

    def _turns(self, claimed: list[ClaimedInstance], completions: Completions) -> list[Turn]:
        turns = {
            claim.id: Turn(claim, Place(claim.previous_token, claim.history_length, claim.execution_number))
            for claim in claimed
        }
        for instance, ended in completions.items():
            turn = turns.get(instance)
            if turn is None:
                held = self._ledger.held(instance)
                if held is None:
                    continue  # Lost since `_settle`: the next round writes its completions to the inbox.
                turn = turns[instance] = Turn(held.claim, held.place)
            number = turn.claim.execution_number
            turn.completions = [each for each in ended if each[0].task.key.execution == number]
        return list(turns.values())

    def _take(self, turns: list[Turn]) -> None:
        """Run turns, commit them together, and do what follows."""
        committed: set[int] = set()
        try:
            self._runner.run([turn for turn in turns if not self._is_poisoned(turn)], self._clock.now())
            self._commit([turn for turn in turns if turn.failure is None], committed)
            self._block(turns)
        finally:
            for turn in turns:
                if turn.claim.id not in committed:
                    self._forget(turn)

    def _is_poisoned(self, turn: Turn) -> bool:
        if turn.claim.turn_attempts <= self._options.max_deliveries:
            return False
        turn.failure = Failure(
            "Poisoned",
            f"Its turn was tried {turn.claim.turn_attempts:,} times and could never be committed; the worker's log has "
            f"the errors. Correct their cause, then resume the instance.",
        )
        return True

    def _commit(self, turns: list[Turn], committed: set[int]) -> None:
        if not turns:
            return
        room = self._executor.free()
        eager = choose_eager(turns, room - room // 2 if self._backlog else room, self._runs_here)
        commits = [self._commit_of(turn, seqs) for turn, seqs in zip(turns, eager, strict=True)]
        options = self._options
        outcomes = store.commit_turns(
            options.worker_id, commits, lease=options.lease, now=self._clock.now(), using=options.using
        )
        self._instrumentation.count("commits")
        started: list[Attempt] = []
        for turn, commit, outcome in zip(turns, commits, outcomes, strict=True):
            if outcome is TurnOutcome.COMMITTED:
                committed.add(turn.claim.id)
                started += self._committed(turn, commit)
            elif outcome is TurnOutcome.LOST:
                self._instrumentation.turn_lost(turn.claim.instance_id)
            else:
                self._instrumentation.turn_failed(turn.claim.instance_id, outcome.error)
        self._instrumentation.count("activities_started_eagerly", len(started))
        self._ledger.add(started)
        self._executor.submit(started)

    def _commit_of(self, turn: Turn, eager: frozenset[int]) -> TurnCommit:
        key = turn.claim.id, turn.claim.execution_number
        busy = self._ledger.busy(*key) > len(turn.completions)
        return commit_of(turn, eager=eager, keep_lease=turn.ended is None and (busy or bool(eager)))

    def _committed(self, turn: Turn, commit: TurnCommit) -> list[Attempt]:
        """Take note of a committed turn. Returns: the attempts it starts here."""
        claim, execution = turn.claim, turn.execution
        assert execution is not None
        self._written([attempt for attempt, _ in turn.completions])
        self._tracing.committed(turn)
        self._instrumentation.turn_committed(type(turn.ended).__name__ if turn.ended is not None else None)
        self._instrumentation.history_grew(claim.instance_id, commit.history_length, execution.history_length)
        after = aftermath_of(turn, commit.eager)
        self._cancel_withdrawn(turn, after)
        self._lookout.expect(after.due)
        self._lookout.inbox |= after.makes_work
        self._lookout.tasks |= after.leaves_tasks
        if turn.ended is not None:
            execution.close()
            self._ledger.drop(claim.id)
            return []
        started = [
            Attempt(task, self._clock.monotonic(), execution.step_at(task.key.seq), execution) for task in after.started
        ]
        place = Place(claim.lease_token, execution.history_length, claim.execution_number)
        self._instrumentation.count("cache_evictions", self._hot.put(claim.id, place, execution))
        if commit.keep_lease:
            standing = replace(claim, messages=[], history_length=place.history_length, turn_attempts=0)
            self._ledger.hold(claim.id, Held(standing, place))
        else:
            self._ledger.drop(claim.id)
        return started

    def _cancel_withdrawn(self, turn: Turn, after: Aftermath) -> None:
        """Ask activities that run here to stop where the turn deleted their tasks."""
        if isinstance(turn.ended, OrchestrationFailed | OrchestrationCanceled):
            self._ledger.cancel_execution(turn.claim.id, turn.claim.execution_number)
        elif after.withdrawn:
            self._ledger.cancel(after.withdrawn)

    def _block(self, turns: list[Turn]) -> None:
        refused = [(turn.claim, turn.failure) for turn in turns if turn.failure is not None]
        if not refused:
            return
        rows = [(claim.id, claim.lease_token, failure) for claim, failure in refused]
        options = self._options
        store.block_instances(options.worker_id, rows, self._clock.now(), using=options.using)
        for claim, failure in refused:
            self._instrumentation.instance_blocked(claim.instance_id, failure)

    def _forget(self, turn: Turn) -> None:
        """Drop what is in memory of an instance whose turn was not committed, and let go of its lease."""
        if turn.execution is not None:
            turn.execution.close()
        self._hot.drop(turn.claim.id)
        self._ledger.drop(turn.claim.id)
        self._to_release[turn.claim.id] = turn.claim.lease_token
        self._lookout.inbox = True

    def _release(self) -> None:
        """Let go of instances that nothing in hand belongs to any more, so that every worker may have them."""
        self._to_release.update(self._ledger.idle())
        if not self._to_release:
            return
        options = self._options
        claims.release_instances(options.worker_id, self._to_release, self._clock.now(), using=options.using)
        for instance, token in self._to_release.items():
            self._ledger.drop(instance, token)
        self._to_release.clear()

    # Activities.

    def _runs_here(self, fact: ActivityScheduled) -> bool:
        """Tell whether an activity may be started eagerly. One on a session goes through the claim of its session."""
        served = self._options.tags.serves(fact.tag)
        known = is_local(fact.name) or self._lookup(fact.name) is not None
        return served and fact.session_id is None and known

    def _claim_tasks(self) -> bool:
        room = self._executor.free()
        if not self._lookout.tasks or room <= 0:
            return False
        options = self._options
        tasks = activities.claim_activities(
            options.worker_id,
            tags=options.tags,
            limit=room,
            lease=options.lease,
            now=self._clock.now(),
            sessions=options.sessions,
            using=options.using,
        )
        self._lookout.tasks = self._backlog = len(tasks) >= room
        self._instrumentation.count("activities_claimed", len(tasks))
        steps = self._steps.of([task for task in tasks if is_local(task.name)])
        attempts = [Attempt(task, self._clock.monotonic(), *steps.get(task.key, ())) for task in tasks]
        self._ledger.add(attempts)
        self._executor.submit(attempts)
        return bool(tasks)

    def _ask_what_is_due(self, begun: datetime, *, busy: bool) -> None:
        """Find out what becomes due after the round began: its looks may have come too early for some of that."""
        if self._lookout.asks(self._clock.now(), busy=busy):
            self._lookout.expect(due.next_due(begun, using=self._options.using))
