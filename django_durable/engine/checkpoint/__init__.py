"""Checkpoints of `async def`: functions compiled so that their suspended calls are data, and that data as JSON.

`compile_function` makes a `CompiledFunction` of an author's coroutine function; calling it makes a `Frame`, which is a
coroutine to whoever drives it; `dump` writes frames and all they refer to as JSON-ready data, `load` makes them anew,
in another process and another time. Nothing here does I/O, and nothing knows what the frames wait for.
"""

from __future__ import annotations

from .dumping import dump
from .frame import Frame
from .function import CompiledFunction, compile_function
from .kinds import Hook
from .loading import load
from .migration import Migration

__all__ = ["CompiledFunction", "Frame", "Hook", "Migration", "compile_function", "dump", "load"]
