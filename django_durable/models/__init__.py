"""The tables: columns, constraints, indexes. No behaviour; every statement that touches them stands in `store/`.

Theory of operation.

* `Instance` is one row per instance, updated once per turn. The columns a turn changes (lease, revision, lengths) are
  in no index, and its pages are filled to 70 %, so PostgreSQL updates the row in place. Payloads are not kept in it,
  for the same reason.
* What can be claimed is found through `InboxMessage`: a message is visible from `visible_at` on (a timer is a message
  that is visible later). Senders only insert, so a sender inside a long transaction of the caller never holds a lock
  that a turn needs. Messages of parked instances are `held`, outside the index that claiming reads.
* Every `ActivityTask` is open: the row is deleted with the commit that records its outcome. `visible_at` is when it may
  be claimed: when due, or when the lease of whoever holds it ends.
* Everything an instance owns has the instance as leading key. The surrogate id is new for every start, so work left
  over from a deleted instance can never touch a re-created one.
"""

from .activities import (
    ActivityTask as ActivityTask,
    Session as Session,
)
from .instances import (
    STATUS_LABELS as STATUS_LABELS,
    Execution as Execution,
    HistoryEvent as HistoryEvent,
    InboxMessage as InboxMessage,
    Instance as Instance,
    KeyValue as KeyValue,
    QueuedEvent as QueuedEvent,
)
from .lengths import (
    INSTANCE_ID_LENGTH as INSTANCE_ID_LENGTH,
    NAME_LENGTH as NAME_LENGTH,
    STATUS_LENGTH as STATUS_LENGTH,
    VERSION_LENGTH as VERSION_LENGTH,
    WORKER_ID_LENGTH as WORKER_ID_LENGTH,
)
from .promises import (
    PROMISE_LABELS as PROMISE_LABELS,
    Promise as Promise,
)
from .spans import (
    TraceSpan as TraceSpan,
)
from .streams import (
    Stream as Stream,
    StreamItem as StreamItem,
)
from .workers import (
    Worker as Worker,
)
