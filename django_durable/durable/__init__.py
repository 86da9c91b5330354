"""Plain async functions made durable: they pause for an event and go on days later, elsewhere, where they stood.

`program` has `make_durable`, `runtime` what runs a program in the caller's own loop, `calls` what can be seen of where
it stands, `backends` and `stores` where that is kept, `instances` the backend that is this project's database.
"""

from ..engine.pauses import Pause as Pause
from ..engine.pauses import PauseForEventException as PauseForEventException
from ..engine.pauses import pause as pause
from .backends import DurableBackend as DurableBackend
from .backends import Event as Event
from .backends import OrchestrationBackend as OrchestrationBackend
from .calls import CallStack as CallStack
from .calls import FunctionCall as FunctionCall
from .program import AlreadyDurableException as AlreadyDurableException
from .program import DurableProgram as DurableProgram
from .program import NoSourceCodeException as NoSourceCodeException
from .program import make_durable as make_durable
from .runtime import DurableRuntime as DurableRuntime
from .stores import DiskStateStore as DiskStateStore
from .stores import InMemoryStateStore as InMemoryStateStore
from .stores import StateStore as StateStore
