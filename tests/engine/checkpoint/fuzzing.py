"""Runs random programs both ways. `python -m tests.engine.checkpoint.fuzzing 10000` reports what differs.

For every ten of them, one orchestration with tasks is run as well; see `concurrency`.
"""

from __future__ import annotations

import sys
import time
import types
import warnings

from . import concurrency
from .programs import program
from .support import Outcome, World, compile_durable, run


def compared(seed: int) -> tuple[Outcome, Outcome, Outcome]:
    """Run a program natively, compiled, and compiled with a checkpoint at every suspension."""
    _, function, helper = program(seed)
    module = function.__globals__
    sys.modules[module["__name__"]] = types.ModuleType(module["__name__"])
    sys.modules[module["__name__"]].__dict__.update(module)
    try:
        native = run(function(1, key=[1]))
        compiled, compiled_helper = compile_durable(function), compile_durable(helper)
        module["helper"] = compiled_helper
        whole = run(compiled(1, key=[1]))
        stored = run(compiled(1, key=[1]), World(compiled, compiled_helper))
    finally:
        del sys.modules[module["__name__"]]
    return native, whole, stored


def is_fickle(seed: int, native: Outcome) -> bool:
    """Tell whether a program shows an address, in pieces: then it is not even like itself."""
    _, function, _ = program(seed)
    others = [function]  # Kept, so that the next one is somewhere else.
    for _ in range(3):
        if run(others[-1](1, key=[1])).seen() != native.seen():
            return True
        others.append(program(seed)[1])
    return False


def main(count: int, first: int = 0) -> int:
    """Compare `count` programs; print the seeds of those that differ. Returns: how many do."""
    started = time.monotonic()
    suspensions, bad, failed = 0, 0, 0
    for seed in range(first, first + count):
        if seed > first and seed % 500 == 0:
            print(f"{seed - first} programs, {bad} differ", flush=True)  # noqa: T201
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                native, whole, stored = compared(seed)
            except Exception as error:
                bad += 1
                print(f"seed {seed}: {type(error).__name__}: {error}")  # noqa: T201
                continue
        if seed % 10 == 0:
            bad += _tasks_differ(seed)
        suspensions += stored.suspensions
        failed += native.error is not None
        if not native.seen() == whole.seen() == stored.seen() and not is_fickle(seed, native):
            bad += 1
            print(f"seed {seed}: " + ("never stored" if native.seen() != whole.seen() else "stored"))  # noqa: T201
    print(  # noqa: T201
        f"{count} programs ({failed} end by an error), {suspensions} checkpoints loaded, {bad} differ, "
        f"{time.monotonic() - started:.0f} s"
    )
    return bad


def _tasks_differ(seed: int) -> bool:
    try:
        replayed, stored = concurrency.compared(seed)
    except Exception as error:
        print(f"seed {seed}, with tasks: {type(error).__name__}: {error}")  # noqa: T201
        return True
    if replayed != stored:
        print(f"seed {seed}, with tasks: another history")  # noqa: T201
    return replayed != stored


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:]))))
