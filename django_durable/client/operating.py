"""What operators do: steer instances, look at many, clean up, see how the system is."""

from __future__ import annotations

from collections.abc import Collection

from ..engine.errors import InvalidArgument
from ..engine.events import HistoryEvent
from ..engine.program import Checkpoint, Past
from ..engine.verification import Mismatch, mismatch_of
from ..store import checkpoints, endings, instances, metrics, queries, retention, retries, workers
from ..store.filters import InstanceFilter
from ..store.metrics import OrchestrationStats, QueueDepths, SystemMetrics
from ..store.queries import ExecutionInfo, InstanceInfo, InstancePage, InstanceTree
from ..store.retention import DeleteResult, PruneOptions, PruneResult
from ..store.workers import WorkerRecord
from .base import ClientBase
from .twins import twin


def _checked_event(from_event: int | None) -> int | None:
    given: object = from_event
    if given is not None and (not isinstance(given, int) or isinstance(given, bool)):
        raise InvalidArgument(f"from_event is {given!r:.80}, expected the seq of an event.")
    return from_event


class Steering(ClientBase):
    """The methods that change where an instance goes. What its status does not allow raises IllegalTransition."""

    def cancel_instance(self, instance_id: str, reason: str | None = None) -> None:
        """Ask an instance to end: its code gets CancelledError at its await and may compensate, then it is Canceled.

        A suspended instance is resumed for that. One that is blocked, or whose delayed start is not due, is Canceled at
        once, without its code.
        Raises: InstanceNotFound. IllegalTransition: it has finished.
        """
        endings.cancel_instance(self._checked_id(instance_id), reason, now=self._clock(), using=self.using)

    def terminate_instance(self, instance_id: str, reason: str | None = None) -> None:
        """End an instance at once, without asking its code, and all its descendants with it. Its parent is told.

        Raises: InstanceNotFound. IllegalTransition: it has finished.
        """
        endings.terminate_instance(self._checked_id(instance_id), reason, now=self._clock(), using=self.using)

    def suspend_instance(self, instance_id: str) -> None:
        """Stop running an instance until it is resumed. What it is sent is kept; activities that run go on.

        Raises: InstanceNotFound. IllegalTransition: it is not Pending or Running.
        """
        instances.suspend_instance(self._checked_id(instance_id), now=self._clock(), using=self.using)

    def resume_instance(self, instance_id: str) -> None:
        """Let a suspended or blocked instance go on from where it was.

        Raises: InstanceNotFound. IllegalTransition: it is neither.
        """
        instances.resume_instance(self._checked_id(instance_id), now=self._clock(), using=self.using)

    def retry_instance(self, instance_id: str, *, from_event: int | None = None) -> int:
        """Let an instance that Failed, or was Canceled or Terminated, go on from its last good point.

        It goes on as a new execution, which starts with a copy of the history up to there; the one that ended stays as
        it is. Activities that failed, or had not ended, are tried anew; what had completed is not run again. Children
        that ended badly are retried with it.
        Args:
            from_event: The event to go back to, by default the last good point. It and what follows is dropped, but
                completions, external events and queue messages that it had by then are delivered again. A failure of an
                activity tries that again; 1 begins anew.
        Returns: the number of the new execution.
        Raises:
            InstanceNotFound.
            IllegalTransition: it has not ended badly; it is a child (retry its parent); a child of it has not ended.
            InvalidArgument: there is no such event, or it is none to go back to; or the code has done other work since
                it failed, compensation for example, and the event has to be chosen. The message says which it may be.
        """
        event = _checked_event(from_event)
        return retries.retry_instance(
            self._checked_id(instance_id), from_event=event, now=self._clock(), using=self.using
        )

    def fork_instance(
        self, instance_id: str, new_instance_id: str, *, execution: int | None = None, from_event: int | None = None
    ) -> None:
        """Start a new instance that goes on from before an event of another one's execution.

        It is an instance of its own, whatever the other one was or does. It starts with a copy of the events, KV values
        and custom status, and is told again what the other one was told after them; see `retry_instance`.
        Args:
            execution: By default the current one.
            from_event: By default the last good point of an execution that ended badly. For one that runs, the seq
                after its last event forks it as it is.
        Raises: InstanceNotFound. InstanceAlreadyExists: the new id is taken. InvalidArgument: there is no such
            execution or event, or it is none to go back to.
        """
        retries.fork_instance(
            self._checked_id(instance_id),
            self._checked_new_id(new_instance_id),
            execution=execution,
            from_event=_checked_event(from_event),
            now=self._clock(),
            using=self.using,
        )

    acancel_instance = twin(cancel_instance)
    aterminate_instance = twin(terminate_instance)
    asuspend_instance = twin(suspend_instance)
    aresume_instance = twin(resume_instance)
    aretry_instance = twin(retry_instance)
    afork_instance = twin(fork_instance)


class Inspecting(ClientBase):
    """The methods that show instances as they are stored: payloads in what they return are JSON text."""

    def list_instances(
        self, filter: InstanceFilter | None = None, *, limit: int | None = None, cursor: str | None = None
    ) -> InstancePage:
        """Return one page of instances, newest first, by one query.

        Args:
            limit: Per page; else the filter's, else 100.
            cursor: `next_cursor` of the page before.
        Raises: InvalidArgument: a limit or cursor that cannot be.
        """
        return queries.page_of(filter or InstanceFilter(), limit=limit, cursor=cursor, using=self.using)

    def list_all_instances(self) -> list[str]:
        """Return the ids of all instances, oldest first; for many, page through `list_instances`."""
        return queries.instance_ids(InstanceFilter(), using=self.using)

    def list_instances_by_status(self, runtime_status: str) -> list[str]:
        """Return the ids of the instances with a status, oldest first. Raises: InvalidArgument: no such status."""
        return queries.instance_ids(InstanceFilter(runtime_status=runtime_status), using=self.using)

    def get_instance_info(self, instance_id: str) -> InstanceInfo:
        """Return an instance with the payloads of its current execution, by one query. Raises: InstanceNotFound."""
        return queries.info_of(self._checked_id(instance_id), using=self.using)

    def get_instance_tree(self, instance_id: str) -> InstanceTree:
        """Return an instance with all its descendants. Raises: InstanceNotFound."""
        return queries.tree_of(self._checked_id(instance_id), using=self.using)

    def list_executions(self, instance_id: str) -> list[int]:
        """Return the numbers of an instance's executions, ascending, without those pruned. Raises: InstanceNotFound."""
        return queries.execution_numbers(self._checked_id(instance_id), using=self.using)

    def get_execution_info(self, instance_id: str, execution: int | None = None) -> ExecutionInfo:
        """Return one execution, by default the current one.

        Raises: InstanceNotFound. InvalidArgument: the instance has no such execution.
        """
        return queries.execution_of(self._checked_id(instance_id), execution, using=self.using)

    def read_execution_history(
        self, instance_id: str, execution: int | None = None, *, after: int = 0, limit: int | None = None
    ) -> list[HistoryEvent]:
        """Return the events of one execution, by default the current one, in order.

        Args:
            after, limit: Only events with a higher seq, and at most so many.
        Raises: InstanceNotFound. InvalidArgument: the instance has no such execution.
        """
        return queries.history_of(self._checked_id(instance_id), execution, after=after, limit=limit, using=self.using)

    def verify_instance(self, instance_id: str) -> Mismatch | None:
        """Rebuild every execution of an instance with the code that is here, as a worker would, and change nothing.

        Returns: the first place where the code does not fit; None where all of it does.
        Raises: InstanceNotFound.
        """
        for number in self.list_executions(instance_id):
            history = queries.history_of(instance_id, number, after=0, limit=None, using=self.using)
            checkpoint = queries.checkpoint_of(instance_id, number, using=self.using)
            past = Past(history) if checkpoint is None else Past(history[checkpoint.seq :], checkpoint)
            if history and (found := mismatch_of(self.registry.environment, past)) is not None:
                return found
        return None

    def read_pasts(self, places: Collection[tuple[int, int]]) -> dict[int, Past]:
        """Return what several executions are rebuilt from, by surrogate id of their instances, by one query.

        Args:
            places: Surrogate ids and execution numbers; one of an instance. What is not there is left out.
        Raises: ValueError: one of them is damaged; read them one by one to find which.
        """
        return checkpoints.load_pasts(places, using=self.using)

    def read_checkpoint(self, instance_id: str, execution: int | None = None) -> Checkpoint | None:
        """Return the checkpoint of one execution, by default the current one; None where it has none.

        Raises: InstanceNotFound. InvalidArgument: the instance has no such execution.
        """
        return queries.checkpoint_of(self._checked_id(instance_id), execution, using=self.using)

    def get_orchestration_stats(self, instance_id: str) -> OrchestrationStats:
        """Return the size of one instance. Raises: InstanceNotFound."""
        return metrics.orchestration_stats(self._checked_id(instance_id), using=self.using)

    def get_system_metrics(self) -> SystemMetrics:
        """Return how many instances, executions and events there are."""
        return metrics.system_metrics(using=self.using)

    def get_queue_depths(self) -> QueueDepths:
        """Return how much waits for workers, and how much does not yet."""
        return metrics.queue_depths(now=self._clock(), using=self.using)

    def list_workers(self) -> list[WorkerRecord]:
        """Return the workers as of their last heartbeats, by id."""
        return workers.list_workers(using=self.using)

    alist_instances = twin(list_instances)
    alist_all_instances = twin(list_all_instances)
    alist_instances_by_status = twin(list_instances_by_status)
    aget_instance_info = twin(get_instance_info)
    aget_instance_tree = twin(get_instance_tree)
    alist_executions = twin(list_executions)
    aget_execution_info = twin(get_execution_info)
    aread_execution_history = twin(read_execution_history)
    averify_instance = twin(verify_instance)
    aread_pasts = twin(read_pasts)
    aread_checkpoint = twin(read_checkpoint)
    aget_orchestration_stats = twin(get_orchestration_stats)
    aget_system_metrics = twin(get_system_metrics)
    aget_queue_depths = twin(get_queue_depths)
    alist_workers = twin(list_workers)


class Retaining(ClientBase):
    """The methods that delete."""

    def delete_instance(self, instance_id: str, force: bool = False) -> DeleteResult:
        """Delete a root instance with all its descendants; the id may be used again.

        Args:
            force: Also where something in its tree has not finished. What workers have in hand of it is lost.
        Raises: InstanceNotFound. IllegalTransition: it is a child, or has not finished.
        """
        return retention.delete_instance(self._checked_id(instance_id), force=force, using=self.using)

    def delete_instance_bulk(self, filter: InstanceFilter | None = None) -> DeleteResult:
        """Delete finished root instances with their descendants, oldest first; unfinished ones are left alone.

        Args:
            filter: All of it must hold; none is every finished root. Its limit is 1,000 where it has none.
        """
        return retention.delete_instances(filter or InstanceFilter(), using=self.using)

    def prune_executions(self, instance_id: str, options: PruneOptions | None = None) -> PruneResult:
        """Delete executions that an instance has continued from, with their events; by default all but the current one.

        Raises: InstanceNotFound.
        """
        return retention.prune_executions(self._checked_id(instance_id), options or PruneOptions(), using=self.using)

    def prune_executions_bulk(
        self, filter: InstanceFilter | None = None, options: PruneOptions | None = None
    ) -> PruneResult:
        """Prune many instances, running ones included; see `prune_executions`.

        Args:
            filter: Which instances. Its limit, 1,000 where it has none, counts those with something to prune.
        """
        return retention.prune_instances(filter or InstanceFilter(), options or PruneOptions(), using=self.using)

    def count_deletable_instances(self, filter: InstanceFilter | None = None) -> int:
        """Count the finished root instances that `delete_instance_bulk` would delete in the end."""
        return retention.count_deletable(filter or InstanceFilter(), using=self.using)

    def count_prunable_executions(
        self, filter: InstanceFilter | None = None, options: PruneOptions | None = None
    ) -> int:
        """Count the executions that `prune_executions_bulk` would delete in the end."""
        return retention.count_prunable(filter or InstanceFilter(), options or PruneOptions(), using=self.using)

    adelete_instance = twin(delete_instance)
    adelete_instance_bulk = twin(delete_instance_bulk)
    aprune_executions = twin(prune_executions)
    aprune_executions_bulk = twin(prune_executions_bulk)
    acount_deletable_instances = twin(count_deletable_instances)
    acount_prunable_executions = twin(count_prunable_executions)
