"""Progress of long work, in one line that is written over, where stderr is a terminal; nothing elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from django.core.management.base import OutputWrapper

PAUSE = 0.1
CLEAR = "\r\x1b[K"


class Progress:
    """Shows a text while its block runs."""

    def __init__(self, err: OutputWrapper, *, quiet: bool = False) -> None:
        self._err = err
        self._shows = err.isatty() and not quiet
        self._written_at = 0.0

    def __enter__(self) -> Progress:
        return self

    def show(self, text: str) -> None:
        """Write a text over the one before; those that come too fast are left out."""
        if self._shows and time.monotonic() - self._written_at >= PAUSE:
            self._err.write(f"{CLEAR}{text}", style_func=str, ending="")
            self._err.flush()
            self._written_at = time.monotonic()

    def clear(self) -> None:
        """Take the text away, before something else is written."""
        if self._shows and self._written_at:
            self._err.write(CLEAR, style_func=str, ending="")
            self._err.flush()
            self._written_at = 0.0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()
