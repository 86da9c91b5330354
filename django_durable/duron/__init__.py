"""The names of Duron, for programs written for it: `from django_durable import duron` instead of `import duron`.

    @duron.durable
    async def greet(ctx: duron.Context, name: str) -> str:
        return await ctx.run(fetch, name)

    async with duron.Session(FileLogStorage(Path("log.jsonl"))) as session:
        print(await session.start(greet, "Ada").result())

Underneath everything is this package's own: an instance in the project's database, which any worker may go on with.
What Duron calls a log is the name of an instance here. A script without Django settings gets a SQLite file beside its
log.
"""

from __future__ import annotations

from typing import Any

from .context import Context
from .effects import effect
from .functions import DurableFn, durable, set_config
from .jobs import Job, Session, invoke

fn, op = durable, effect
"""What early versions of Duron called the two decorators."""

__all__ = [
    "Context",
    "DurableFn",
    "Job",
    "Session",
    "durable",
    "effect",
    "fn",
    "invoke",
    "op",
    "set_config",
]

_FROM_PACKAGE = ("Provided", "Reducer", "Signal", "SignalInterrupt", "Stream", "StreamClosed", "StreamWriter")


def __getattr__(name: str) -> Any:
    if name == "Task":  # It knows the models, which a script has only once its session is open.
        from .tasks import Task

        return Task
    if name in _FROM_PACKAGE:
        import django_durable

        return getattr(django_durable, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
