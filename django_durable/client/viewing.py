"""The client of those who show what is stored to people: what it reads has been through the project's REDACT hook.

The faces use this one, for everything. What the project itself reads with `client`, for its own work, is as it is
stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from ..conf import settings
from ..engine.errors import StreamClosed
from ..engine.events import HistoryEvent, Payload
from ..engine.spans import SpanRecord
from ..redaction import current_hook, shown, shown_entries, shown_message
from ..store.filters import InstanceFilter
from ..store.insight import Excerpt
from ..store.promises import PromiseRecord
from ..store.queries import ExecutionInfo, InstanceInfo, InstancePage, InstanceTree, StatusRecord
from ..store.streamreads import ItemExcerpt, PageRecord, StreamRecord
from . import Client
from .surveying import Bounds, InstanceSurvey

E = TypeVar("E", Excerpt, Excerpt | None)

LONGEST_REDACTED = 65_536
"""Characters of a payload in a row that are read for the hook; what is longer is not shown."""


class ViewingClient(Client):
    """As `Client`, for showing. Decoded reads (`get_status`, `get_output`, `get_kv_value`) are not for faces."""

    def list_instances(
        self, filter: InstanceFilter | None = None, *, limit: int | None = None, cursor: str | None = None
    ) -> InstancePage:
        return shown(super().list_instances(filter, limit=limit, cursor=cursor))

    def get_instance_info(self, instance_id: str) -> InstanceInfo:
        return shown(super().get_instance_info(instance_id))

    def get_instance_tree(self, instance_id: str) -> InstanceTree:
        return shown(super().get_instance_tree(instance_id))

    def get_execution_info(self, instance_id: str, execution: int | None = None) -> ExecutionInfo:
        return shown(super().get_execution_info(instance_id, execution))

    def read_execution_history(
        self, instance_id: str, execution: int | None = None, *, after: int = 0, limit: int | None = None
    ) -> list[HistoryEvent]:
        found = super().read_execution_history(instance_id, execution, after=after, limit=limit)
        return shown(found, instance_id=instance_id)

    def read_stored_history(
        self, instance_id: str, execution: int | None = None, *, after: int = 0, limit: int | None = None
    ) -> list[HistoryEvent]:
        """As `Client.read_execution_history`: what is stored, to be replayed and not shown. So is `read_pasts`."""
        return super().read_execution_history(instance_id, execution, after=after, limit=limit)

    def get_promise(self, instance_id: str, promise_id: str) -> PromiseRecord:
        return shown(super().get_promise(instance_id, promise_id))

    def list_requests(self, **given: Any) -> list[PromiseRecord]:
        return shown(super().list_requests(**given))

    def list_streams(self, instance_id: str) -> list[StreamRecord]:
        return shown(super().list_streams(instance_id), instance_id=instance_id)

    def survey_items(
        self, id: int, below: Mapping[str, int | None], *, limit: int, characters: int, instance_id: str = ""
    ) -> list[ItemExcerpt]:
        """As `Client.survey_items`. Where there is a hook, items are read as far as it can be asked about them."""
        if current_hook() is None:
            return super().survey_items(id, below, limit=limit, characters=characters)
        found = super().survey_items(id, below, limit=limit, characters=LONGEST_REDACTED)
        told = shown(found, instance_id=instance_id)
        return [replace(each, payload=_beginning(each.payload, characters)) for each in told]

    def send_to_stream(self, instance_id: str, name: str, *values: Any) -> int:
        with _reason_shown(instance_id):
            return super().send_to_stream(instance_id, name, *values)

    def close_stream(self, instance_id: str, name: str, reason: str | BaseException | None = None) -> None:
        with _reason_shown(instance_id):
            super().close_stream(instance_id, name, reason)

    def read_spans(self, instance_id: str, execution: int | None = None) -> list[SpanRecord]:
        return shown(super().read_spans(instance_id, execution), instance_id=instance_id)

    def get_kv_payload(self, instance_id: str, key: str) -> Payload | None:
        found = super().get_kv_payload(instance_id, key)
        return None if found is None else shown_entries({key: found}, instance_id)[key]

    def get_kv_payloads(self, instance_id: str) -> dict[str, Payload]:
        return shown_entries(super().get_kv_payloads(instance_id), instance_id)

    def survey_instance(
        self,
        id: int,
        *,
        execution: int,
        root: int | None = None,
        before: int | None = None,
        bounds: Bounds | None = None,
        instance_id: str = "",
    ) -> InstanceSurvey:
        """As `Client.survey_instance`; where there is a hook, payloads are read as far as it can be asked about them.

        Args:
            instance_id: What the hook is told.
        """
        most = bounds or Bounds()
        if current_hook() is None:
            return super().survey_instance(id, execution=execution, root=root, before=before, bounds=most)
        whole = replace(most, characters=settings.MAX_PAYLOAD_BYTES, characters_per_row=LONGEST_REDACTED)
        found = super().survey_instance(id, execution=execution, root=root, before=before, bounds=whole)
        return _cut(_shown_survey(found, instance_id), most)

    def _page_reader(self, instance_id: str, name: str, after: int | None, limit: int) -> Callable[[], PageRecord]:
        read = super()._page_reader(instance_id, name, after, limit)
        return lambda: shown(read())

    def _item_decoder(self, instance_id: str, name: str, type: Any) -> Callable[[str], Any]:
        # What a hook has put in place of an item need not be of its type.
        return super()._item_decoder(instance_id, name, Any if current_hook() is not None else type)

    def _status_reader(self, instance_id: str) -> Callable[[], StatusRecord]:
        read = super()._status_reader(instance_id)
        return lambda: shown(read())


@contextmanager
def _reason_shown(instance_id: str) -> Iterator[None]:
    """Say why a stream is closed as that may be shown."""
    try:
        yield
    except StreamClosed as error:
        if error.reason is None:
            raise
        raise StreamClosed(error.name, error.position, shown_message(error.reason, instance_id)) from None


def _shown_survey(found: InstanceSurvey, instance_id: str) -> InstanceSurvey:
    return replace(
        found,
        events=shown(found.events, instance_id=instance_id),
        activities=shown(found.activities, instance_id=instance_id),
        queued=shown(found.queued, instance_id=instance_id),
        entries=shown(found.entries, instance_id=instance_id),
        executions=shown(found.executions, instance_id=instance_id),
        spans=shown(found.spans, instance_id=instance_id),
    )


def _cut(found: InstanceSurvey, bounds: Bounds) -> InstanceSurvey:
    """Cut payloads, now that they may be shown, to what was asked for."""

    def row(excerpt: E) -> E:
        return _beginning(excerpt, bounds.characters_per_row)

    def whole(excerpt: E) -> E:
        return _beginning(excerpt, bounds.characters)

    return replace(
        found,
        events=[replace(each, payload=row(each.payload), data=row(each.data)) for each in found.events],
        activities=[replace(each, heartbeat=row(each.heartbeat)) for each in found.activities],
        queued=[replace(each, payload=row(each.payload)) for each in found.queued],
        entries=[replace(each, value=row(each.value)) for each in found.entries],
        executions=[
            replace(each, input=whole(each.input), output=whole(each.output), failure=whole(each.failure))
            for each in found.executions
        ],
    )


def _beginning(excerpt: E, characters: int) -> E:
    return None if excerpt is None else replace(excerpt, text=excerpt.text[:characters])


client = ViewingClient()
"""The client of the default registry and database, for showing."""
