"""A program that is rebuilt by replay: its code runs again, over the whole history, to stand where it stood."""

from __future__ import annotations

import inspect

from .base import BaseProgram
from .context import OrchestrationContext
from .events import Payload
from .loop import drive
from .program import OrchestrationCallee


class ReplayedProgram(BaseProgram):
    """Orchestration code of any style, run by Python itself. It cannot be stored."""

    async def _main(self, definition: OrchestrationCallee, ctx: OrchestrationContext, payload: Payload) -> Payload:
        args, kwargs = definition.decode_call(payload)
        result = definition.function(ctx, *args, **kwargs)
        if inspect.isgenerator(result):
            result = await drive(result)
        elif inspect.isawaitable(result):
            result = await result
        return definition.encode_result(result)
