"""Plain async functions made durable: they pause for an event and go on days later, elsewhere, where they stood.

`program` has `make_durable`, `runtime` what runs a program in the caller's own loop, `calls` what can be seen of where
it stands, `backends` and `stores` where that is kept, `instances` the backend that is this project's database. A
`Migration` says where calls go on whose code has changed.
"""

from ..engine.checkpoint import Migration as Migration
from ..engine.pauses import Pause as Pause, PauseForEventException as PauseForEventException, pause as pause
from .backends import DurableBackend as DurableBackend, Event as Event, OrchestrationBackend as OrchestrationBackend
from .calls import CallStack as CallStack, FunctionCall as FunctionCall
from .program import (
    AlreadyDurableException as AlreadyDurableException,
    DurableProgram as DurableProgram,
    NoSourceCodeException as NoSourceCodeException,
    make_durable as make_durable,
)
from .runtime import DurableRuntime as DurableRuntime
from .stores import DiskStateStore as DiskStateStore, InMemoryStateStore as InMemoryStateStore, StateStore as StateStore
