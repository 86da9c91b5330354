"""How the payload that answers a command becomes a value.

Decoders are data, so that a future that waits can be stored in a checkpoint.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

from .events import Payload
from .program import ActivityCallee, Codec, OrchestrationCallee, StepCallee

if TYPE_CHECKING:
    from .signals import Value
    from .streams import Taking


@dataclass(frozen=True, slots=True)
class ResultOf:
    """Decodes by the return hint of what was called: an activity, or an orchestration of one `version`."""

    callee: ActivityCallee | OrchestrationCallee | StepCallee
    version: str | None = None

    def __call__(self, payload: Payload) -> Any:
        return self.callee.decode_result(payload)


@dataclass(frozen=True, slots=True)
class As:
    """Decodes as a type that the author named."""

    codec: Codec
    type: Any = Any

    def __call__(self, payload: Payload) -> Any:
        return self.codec.decode(payload, self.type)

    def schema(self) -> str:
        """Return the JSON Schema of the type, as text."""
        return json.dumps(self.codec.schema(self.type), separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Nothing:
    """The value is None, whatever the payload."""

    def __call__(self, payload: Payload | None) -> None:
        return None


Decoder = Union[ResultOf, As, Nothing, "Taking", "Value"]
