"""When a failed attempt is tried again, and after how long."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Literal, get_args

from .durations import Duration, milliseconds
from .errors import InvalidArgument
from .failures import Failure, type_name

Backoff = Literal["none", "fixed", "linear", "exponential"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and when an activity is tried again.

    The pause after failed attempt n is `initial` for `fixed`, `initial * n` for `linear`, `initial * multiplier **
    (n - 1)` for `exponential` and nothing for `none`; never more than `max_delay`. `jitter` (0 to 1) takes away up to
    that share of it at random. Errors whose class (or class name) is in `non_retryable` fail at once.

    `timeout` bounds one attempt and counts as a failed attempt; `total_timeout` bounds all attempts and the pauses
    between them. Durations are `timedelta` or int milliseconds.

    Raises: InvalidArgument: a value that cannot mean anything, named with what was expected.
    """

    max_attempts: int = 3
    backoff: Backoff = "exponential"
    initial: Duration = timedelta(milliseconds=100)
    multiplier: float = 2.0
    max_delay: Duration = timedelta(seconds=30)
    jitter: float = 0.0
    non_retryable: tuple[type[BaseException] | str, ...] = ()
    timeout: Duration | None = None
    total_timeout: Duration | None = None

    def __post_init__(self) -> None:
        attempts: object = self.max_attempts
        if not isinstance(attempts, int) or isinstance(attempts, bool) or attempts < 1:
            raise InvalidArgument(f"max_attempts is {attempts!r}, expected a whole number of at least 1.")
        if self.backoff not in get_args(Backoff):
            raise InvalidArgument(f"backoff is {self.backoff!r}, expected one of {', '.join(get_args(Backoff))}.")
        if not 0 <= self.jitter <= 1:
            raise InvalidArgument(f"jitter is {self.jitter!r}, expected a share between 0 and 1.")
        if not 1 <= self.multiplier < math.inf:
            raise InvalidArgument(f"multiplier is {self.multiplier!r}, expected a finite number of at least 1.")
        for name in ("initial", "max_delay", "timeout", "total_timeout"):
            if (value := getattr(self, name)) is not None:
                milliseconds(value, name)
        refused: object = self.non_retryable
        if not isinstance(refused, tuple | list) or not all(_is_error(each) for each in refused):
            raise InvalidArgument(
                f"non_retryable is {refused!r:.80}, expected a tuple of exception classes or their names."
            )

    def delay_ms(self, attempt: int, random: float) -> int:
        """Return the pause after failed `attempt` (1-based) in milliseconds; `random` is in [0, 1)."""
        initial, longest = milliseconds(self.initial, "initial"), milliseconds(self.max_delay, "max_delay")
        match self.backoff:
            case "none":
                return 0
            case "fixed":
                pause = float(initial)
            case "linear":
                pause = float(initial * attempt)
            case "exponential":
                pause = self._grown(initial, attempt)
        return int(min(pause, longest) * (1 - self.jitter * random))

    def _grown(self, initial: int, attempt: int) -> float:
        try:
            return initial * float(self.multiplier) ** (attempt - 1)
        except OverflowError:
            return math.inf if initial else 0.0

    def is_retryable(self, failure: Failure) -> bool:
        """Tell whether an error of this type may be tried again; matches full and bare class names."""
        refused = {kind if isinstance(kind, str) else type_name(kind) for kind in self.non_retryable}
        return failure.error_type not in refused and failure.error_type.rpartition(".")[2] not in refused

    def allows(self, attempt: int, failure: Failure) -> bool:
        """Tell whether another attempt follows after failed `attempt`."""
        return attempt < self.max_attempts and self.is_retryable(failure)

    def as_dict(self) -> dict[str, Any]:
        """Return what is recorded of the policy: plain JSON, durations in milliseconds, timeouts left out."""
        return {
            "max_attempts": self.max_attempts,
            "backoff": self.backoff,
            "initial_ms": milliseconds(self.initial, "initial"),
            "multiplier": self.multiplier,
            "max_delay_ms": milliseconds(self.max_delay, "max_delay"),
            "jitter": self.jitter,
            "non_retryable": [kind if isinstance(kind, str) else type_name(kind) for kind in self.non_retryable],
        }

    @classmethod
    def coerce(cls, given: RetryPolicy | Mapping[str, Any]) -> RetryPolicy:
        """Accept a policy, or a mapping of its arguments where durations may be spelled `..._ms`.

        Raises: InvalidArgument: an unknown key, or neither a policy nor a mapping.
        """
        if isinstance(given, RetryPolicy):
            return given
        if not isinstance(given, Mapping):
            raise InvalidArgument(f"retry is {given!r:.80}, expected a RetryPolicy or a mapping of its arguments.")
        values = {str(key).removesuffix("_ms"): value for key, value in given.items()}
        if unknown := sorted(set(values) - {each.name for each in fields(cls)}):
            known = ", ".join(each.name for each in fields(cls))
            raise InvalidArgument(f"retry has unknown keys {', '.join(unknown)}; known keys are {known}.")
        return cls(**values)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RetryPolicy:
        """Rebuild a policy from `as_dict`."""
        return cls(
            max_attempts=data["max_attempts"],
            backoff=data["backoff"],
            initial=data["initial_ms"],
            multiplier=data["multiplier"],
            max_delay=data["max_delay_ms"],
            jitter=data["jitter"],
            non_retryable=tuple(data["non_retryable"]),
        )


def _is_error(kind: object) -> bool:
    return isinstance(kind, str) or (isinstance(kind, type) and issubclass(kind, BaseException))
