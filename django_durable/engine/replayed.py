"""A program that is rebuilt by replay: its code runs again, over the whole history, to stand where it stood."""

from __future__ import annotations

import inspect

from .base import BaseProgram
from .context import OrchestrationContext
from .driving import drive
from .events import Payload
from .spans import use_book


class ReplayedProgram(BaseProgram):
    """Orchestration code of any style, run by Python itself. It cannot be stored."""

    async def _main(self, ctx: OrchestrationContext, payload: Payload) -> Payload:
        if self.spans is not None:
            use_book(self.spans)
        args, kwargs = self.call_arguments(payload)
        result = self.definition.function(ctx, *args, **kwargs)
        if inspect.isgenerator(result):
            result = await drive(result)
        elif inspect.isawaitable(result):
            result = await result
        return self.definition.encode_result(result)
