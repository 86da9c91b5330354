"""Logging on behalf of orchestration code. The engine itself never logs; it hands messages to its environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .base import BaseProgram

DEBUG, INFO, WARNING, ERROR, CRITICAL = 10, 20, 30, 40, 50
LEVELS = {DEBUG: "DEBUG", INFO: "INFO", WARNING: "WARNING", ERROR: "ERROR", CRITICAL: "CRITICAL"}


class ReplaySilentLogger:
    """The methods of a standard logger; nothing is emitted while the code is replaying.

    Every message carries `instance_id`, `execution_id`, `orchestration_name` and `orchestration_version`.
    """

    def __init__(self, program: BaseProgram) -> None:
        self._program = program

    def log(self, level: int, message: str, *args: Any) -> None:
        self._program.trace(level, message, args)

    def debug(self, message: str, *args: Any) -> None:
        self.log(DEBUG, message, *args)

    def info(self, message: str, *args: Any) -> None:
        self.log(INFO, message, *args)

    def warning(self, message: str, *args: Any) -> None:
        self.log(WARNING, message, *args)

    def error(self, message: str, *args: Any) -> None:
        self.log(ERROR, message, *args)

    def critical(self, message: str, *args: Any) -> None:
        self.log(CRITICAL, message, *args)


class Logger(Protocol):
    """What the verbs below need of a logger: a `ReplaySilentLogger`, or one of the standard library."""

    def debug(self, msg: str, /) -> None: ...
    def info(self, msg: str, /) -> None: ...
    def warning(self, msg: str, /) -> None: ...
    def error(self, msg: str, /) -> None: ...


class TraceVerbs:
    """A part of the contexts: one message each, in an orchestration silent while replaying."""

    logger: Logger

    def trace_debug(self, message: str) -> None:
        """Log at DEBUG."""
        self.logger.debug(message)

    def trace_info(self, message: str) -> None:
        """Log at INFO."""
        self.logger.info(message)

    def trace_warn(self, message: str) -> None:
        """Log at WARNING."""
        self.logger.warning(message)

    def trace_error(self, message: str) -> None:
        """Log at ERROR."""
        self.logger.error(message)
