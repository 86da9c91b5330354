"""Coverage-guided fuzzing: `python -m tests.properties.fuzz payloads|histories CORPUS`, then options of libFuzzer.

atheris mutates its input towards code that nothing reached before; `make fuzz` installs it beside the environment. It
ends with the first input that something else than a typed error came out of, and writes that into a file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["django_durable.codec", "django_durable.engine"]):
    from . import hostile

HISTORIES = Path(__file__).parent.parent / "histories"


def payloads(data: bytes) -> None:
    """The first byte chooses the type, the rest is the payload."""
    if data:
        hostile.decode(data[1:].decode(errors="replace"), hostile.TYPES[data[0] % len(hostile.TYPES)])


def histories(data: bytes) -> None:
    hostile.replay(data.decode(errors="replace"))


def main() -> None:
    program, what, corpus, *options = sys.argv
    target, seeds = {"payloads": (payloads, []), "histories": (histories, [str(HISTORIES)])}[what]
    atheris.Setup(
        [program, *options, corpus, *seeds], target
    )  # What it finds worth keeping goes into the first folder.
    atheris.Fuzz()


if __name__ == "__main__":
    main()
