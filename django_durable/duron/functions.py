"""Duron's two decorators."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

from ..definitions import Orchestration
from ..engine.errors import InvalidArgument
from ..registry import Registry, default
from .context import Context
from .contrib.codecs import PydanticCodec
from .jobs import Job
from .storage import LogStorage

P = ParamSpec("P")
R = TypeVar("R")

_config: dict[str, Any] = {"codec": None}


def set_config(*, codec: Any = None) -> None:
    """Set the codec of the durable functions that are decorated from now on: the name of one in `CODECS`."""
    _config["codec"] = codec


class DurableFn(Generic[R]):
    """A durable function: an orchestration, started through a `Session`, a `Job`, or as any other.

    Attributes:
        fn: The function that was decorated.
        orchestration: What it is registered as.
    """

    def __init__(self, fn: Callable[..., Any], registry: Registry, codec: Any, name: str | None) -> None:
        if not inspect.iscoroutinefunction(fn):
            raise InvalidArgument(f"{fn!r:.80} is no async def, and a durable function is one.")
        functools.update_wrapper(self, fn)
        self.fn = fn

        @functools.wraps(fn)
        async def run(ctx: Any, /, *args: Any, **kwargs: Any) -> Any:
            return await fn(Context(ctx), *args, **kwargs)

        made: Any = registry.orchestration(name, codec=_codec_name(codec))(run)
        self.orchestration: Orchestration[..., R] = made

    def __call__(self, ctx: Context, /, *args: Any, **kwargs: Any) -> Any:
        """Return it as a coroutine that runs inside another durable function, as a part of it.

        Streams and signals that it is provided with are those of the caller's instance. Raises: InvalidArgument: the
        context is none of a durable function; start it instead.
        """
        if not isinstance(ctx, Context):
            raise InvalidArgument(
                f"Durable function {self.orchestration.name!r} was called with {ctx!r:.80}, expected the context of "
                f"the durable function that calls it. Elsewhere it is started: Session(log).start(fn, ...)."
            )
        return self.fn(ctx, *args, **{**ctx.provided(self.orchestration.ports), **kwargs})

    def invoke(self, log: LogStorage, /, *, tracer: Any = None) -> Job[R]:
        """Return a context manager in which it runs."""
        return Job(self, log, tracer=tracer)


def durable(
    fn: Callable[..., Any] | None = None, /, *, codec: Any = None, name: str | None = None,
    registry: Registry = default,
) -> Any:  # fmt: skip
    """Make a durable function of an `async def` whose first parameter is the context.

    Args:
        codec: The name of one of the project's codecs; `PydanticCodec()` is what is there anyway.
        name: As which it is registered; by default the function's path.
    """
    if fn is None:
        return lambda function: DurableFn(function, registry, codec or _config["codec"], name)
    return DurableFn(fn, registry, codec or _config["codec"], name)


def _codec_name(codec: Any) -> str | None:
    if codec is None or isinstance(codec, str):
        return codec
    if isinstance(codec, PydanticCodec):
        return None
    raise InvalidArgument(
        f"codec is {codec!r:.80}, expected the name of one in DJANGO_DURABLE['CODECS']: a codec here turns JSON text "
        f"into what is stored. Types are encoded by their hints, pydantic models included."
    )
