"""What operators look at, bounded: an instance with everything it has open, and how the whole system is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..engine.spans import SpanRecord
from ..store import insight, overview
from ..store.spans import spans_of
from ..tracing import sinks
from .base import ClientBase
from .twins import twin

HOUR = timedelta(hours=1)
DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much of an instance is read at most: rows of each list, and characters of each payload."""

    outline: int = 2_000
    events: int = 100
    rows: int = 200
    spans: int = 500
    characters: int = 20_000
    characters_per_row: int = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSurvey:
    """One instance with everything it has open; see `store.insight` for what the parts are.

    Attributes:
        outline: The last events of the execution asked for, without payloads.
        events: The last events of it, or the last before a seq, with the beginnings of their payloads.
        executions: Newest first.
        relatives: The tree it is in, parents before children.
        spans: What was traced of the execution asked for, where the project traces to the database.
    """

    read_at: datetime
    outline: list[insight.EventOutline]
    events: list[insight.EventRow]
    activities: list[insight.OpenActivity]
    messages: list[insight.WaitingMessage]
    queued: list[insight.QueuedPayload]
    entries: list[insight.Entry]
    executions: list[insight.ExecutionOutline]
    relatives: list[insight.Relative]
    spans: list[SpanRecord] = field(default_factory=list)


class Surveying(ClientBase):
    """The methods behind pages for operators. Instances are named by their surrogate ids, as such pages have them."""

    def survey_instance(
        self,
        id: int,
        *,
        execution: int,
        root: int | None = None,
        before: int | None = None,
        bounds: Bounds | None = None,
    ) -> InstanceSurvey:
        """Read what one instance has open and what happened in one of its executions, by eight queries; nine if traced.

        An instance that is not there has nothing.

        Args:
            root: Surrogate id of the root of its tree, None where it is the root.
            before: Only events with a lower seq are listed; the outline has the last ones in any case.
        """
        most, using = bounds or Bounds(), self.using
        rows, short = most.rows, most.characters_per_row
        return InstanceSurvey(
            read_at=self._clock(),
            outline=insight.outline_of(id, execution, limit=most.outline, using=using),
            events=insight.events_of(id, execution, before=before, limit=most.events, characters=short, using=using),
            activities=insight.open_activities_of(id, limit=rows, characters=short, using=using),
            messages=insight.messages_of(id, limit=rows, using=using),
            queued=insight.queued_of(id, limit=rows, characters=short, using=using),
            entries=insight.entries_of(id, characters=short, using=using),
            executions=insight.executions_of(id, limit=rows, characters=most.characters, using=using),
            relatives=insight.relatives_of(id, root, limit=rows, using=using),
            spans=spans_of(id, execution, limit=most.spans, using=using) if sinks.stores() else [],
        )

    def count_queued_events(self, ids: Collection[int]) -> dict[int, int]:
        """Count what nothing has dequeued, by surrogate id, by one query; instances with nothing are missing."""
        return insight.queue_lengths_of(ids, using=self.using)

    def get_overview(self) -> overview.Overview:
        """Measure the system: what there is, ended in the last hour, failed in the last 24, waits, and is left over."""
        now = self._clock()
        return overview.overview_of(now=now, ended_since=now - HOUR, failed_since=now - DAY, using=self.using)

    asurvey_instance = twin(survey_instance)
    acount_queued_events = twin(count_queued_events)
    aget_overview = twin(get_overview)
