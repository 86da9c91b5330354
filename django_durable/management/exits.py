"""How commands end: exit codes, and errors as one line of text.

0    done; with --wait or --watch: the instance completed
1    refused or failed, the reason is on stderr; with --wait or --watch: the instance failed, was canceled or terminated
2    the command line cannot mean anything
3    the time that --wait gave was over
130  interrupted by Ctrl-C
141  whoever read the output went away, as `head` does
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from ..engine.errors import DurableError
from ..store.connections import DatabaseFault

TIMED_OUT = 3
INTERRUPTED = 130
UNREAD = 141

Handle = TypeVar("Handle", bound=Callable[..., None])


def tells_errors(handle: Handle) -> Handle:
    """Decorate `handle`: what the library or the database refuses is a CommandError, other ends have their codes."""

    @functools.wraps(handle)
    def wrapper(self: BaseCommand, /, *args: Any, **options: Any) -> None:
        try:
            handle(self, *args, **options)
            self.stdout.flush()
        except (DurableError, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from error
        except DatabaseFault as error:
            raise CommandError(
                f"The database answers: {str(error).strip()}. See that it is reachable and that migrate was run."
            ) from error
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            _discard_output()
            sys.exit(UNREAD)

    return cast(Handle, wrapper)


def _discard_output() -> None:
    """Let what is left in the buffer go nowhere: the interpreter flushes it when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
