"""What faces ask over and over for other people: statuses by revision. Payloads stay JSON text."""

from __future__ import annotations

from collections.abc import Callable

from ..engine.durations import Duration
from ..engine.events import Payload
from ..engine.states import TERMINAL
from ..store import health, insight, keyvalues, queries
from ..store.queries import StatusRecord
from .base import ClientBase
from .twins import twin, waits
from .waits import DEFAULT_TIMEOUT, Wait


class Watching(ClientBase):
    """The methods behind what is polled. None of them needs the code of the orchestration."""

    def get_status_record(self, instance_id: str) -> StatusRecord:
        """Return an instance's status as it is stored, by one query. Raises: InstanceNotFound."""
        return self._status_reader(instance_id)()

    @waits
    def wait_for_revision(
        self, instance_id: str, last_seen_revision: int, timeout: Duration = DEFAULT_TIMEOUT
    ) -> Wait[StatusRecord, StatusRecord]:
        """Wait until the revision is another than the one seen last, or the instance has ended.

        Returns: the status, as it was seen last when the time is over.
        Raises: InstanceNotFound. WaitInsideTransaction.
        """

        def pick(record: StatusRecord) -> tuple[StatusRecord] | None:
            changed = record.revision != last_seen_revision or record.runtime_status in TERMINAL
            return (record,) if changed else None

        read = self._status_reader(instance_id)
        return Wait(read, pick, lambda record: record, timeout=timeout, using=self.using)

    def get_kv_payload(self, instance_id: str, key: str) -> Payload | None:
        """Return a KV value as JSON text, None where there is no such key, by one query. Raises: InstanceNotFound."""
        id, name = self._checked_id(instance_id), self._checked_name(key, "KV key")
        return keyvalues.key_value_of(id, name, using=self.using).payload

    def get_kv_payloads(self, instance_id: str) -> dict[str, Payload]:
        """Return all KV entries as JSON text, sorted by key, by one query. Raises: InstanceNotFound."""
        return keyvalues.key_values_of(self._checked_id(instance_id), using=self.using)

    def outline_executions(self, id: int, *, limit: int = 200) -> list[insight.ExecutionOutline]:
        """Return an instance's executions without their payloads, newest first, by one query.

        Args:
            id: Surrogate id, as in a status record.
        """
        return insight.executions_of(id, limit=limit, characters=0, using=self.using)

    def is_reachable(self) -> bool:
        """Tell whether the database answers and has the tables, by one cheap query."""
        return health.answers(self.using)

    def get_backlog(self) -> health.Backlog:
        """Return what has waited longest of all that is due, by three cheap queries."""
        return health.backlog(self._clock(), using=self.using)

    def list_unapplied_migrations(self) -> list[str]:
        """Return the names of the library's migrations that the database lacks."""
        return health.unapplied_migrations(self.using)

    def _status_reader(self, instance_id: str) -> Callable[[], StatusRecord]:
        instance_id, using = self._checked_id(instance_id), self.using
        return lambda: queries.status_of(instance_id, using=using)

    aget_status_record = twin(get_status_record)
    await_for_revision = twin(wait_for_revision)
    aget_kv_payload = twin(get_kv_payload)
    aget_kv_payloads = twin(get_kv_payloads)
    aoutline_executions = twin(outline_executions)
    ais_reachable = twin(is_reachable)
    aget_backlog = twin(get_backlog)
    alist_unapplied_migrations = twin(list_unapplied_migrations)
