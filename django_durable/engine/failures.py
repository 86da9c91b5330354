"""What is recorded of an exception, so that it can be shown, matched on, and raised again elsewhere."""

from __future__ import annotations

import traceback as traceback_module
from dataclasses import dataclass

TRACEBACK_CHARACTERS = 16_384
"""Longest traceback kept with a failure; the innermost frames are what is kept."""

MESSAGE_CHARACTERS = 8_192


@dataclass(frozen=True, slots=True)
class Failure:
    """What is recorded of an exception: enough to show, to match on and to raise again elsewhere.

    `error_type` is the class name (`"ValueError"`, or `"shop.errors.Declined"` outside builtins).
    """

    error_type: str
    message: str
    traceback: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Describe a caught exception; long messages and tracebacks are cut.

        An error that passes on the outcome of something else keeps the type and message of the original error.
        """
        original = getattr(error, "failure", None)
        if isinstance(original, Failure):
            name, message = original.error_type, original.message
        else:
            name, message = type_name(type(error)), text_of(error)
        lines = storable("".join(traceback_module.format_exception(error)))
        return cls(name, message[:MESSAGE_CHARACTERS], lines[-TRACEBACK_CHARACTERS:])

    def __str__(self) -> str:
        return f"{self.error_type}: {self.message}" if self.message else self.error_type


def text_of(error: BaseException) -> str:
    """Return `str(error)`, or a note where that raises: an author's error may be as broken as what raised it."""
    try:
        return storable(str(error))
    except Exception as broken:
        return f"<str() of this error raised {type_name(type(broken))}>"


def storable(text: str) -> str:
    """Escape lone surrogates, which no database can store."""
    return text.encode("utf-8", "backslashreplace").decode()


def type_name(kind: type[BaseException]) -> str:
    """Return the name recorded for an exception class: bare for builtins, dotted otherwise."""
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"
