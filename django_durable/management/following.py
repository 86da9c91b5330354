"""Following one instance from revision to revision."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

from ..client import Client, StatusRecord
from ..conf import settings
from ..engine.states import TERMINAL

LONGEST_SLICE = timedelta(minutes=5)


class TimeOver(Exception):
    """The time to follow is over; `record` is what was seen last."""

    def __init__(self, record: StatusRecord) -> None:
        self.record = record
        super().__init__(record.instance_id)


def follow(
    client: Client, instance_id: str, *, timeout: timedelta = timedelta.max, tick: timedelta = LONGEST_SLICE
) -> Iterator[StatusRecord]:
    """Yield the status of an instance now, at each change, and at each tick without one, until it has ended.

    Raises: TimeOver. InstanceNotFound. WaitInsideTransaction.
    """
    started = time.monotonic()
    longest = min(tick, settings.MAX_WAIT)
    record = client.get_status_record(instance_id)
    yield record
    while record.runtime_status not in TERMINAL:
        left = timeout - timedelta(seconds=time.monotonic() - started)
        if left <= timedelta(0):
            raise TimeOver(record)
        record = client.wait_for_revision(instance_id, record.revision, min(longest, left))
        yield record
