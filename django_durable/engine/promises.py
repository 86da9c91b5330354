"""The verbs for what somebody outside decides: promises and requests.

A promise is settled once, by whoever comes first; the store sees to that before the execution is told. A request is a
promise with a question, so that it can be listed and answered by people who know nothing of the code.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from . import commands
from .decoding import As
from .durations import Duration, milliseconds
from .events import Payload
from .futures import DurableFuture

if TYPE_CHECKING:
    from .base import BaseProgram


class PromiseVerbs(ABC):
    """A part of `OrchestrationContext`."""

    _program: BaseProgram

    @abstractmethod
    def _new_guid(self) -> str: ...

    def create_future(self, type: Any = Any, *, name: str = "promise") -> DurableFuture[Any]:
        """Return a future that somebody outside settles, once: by `client.complete_promise` or `fail_promise`.

        The instance id and the future's `promise_id` are its address. Its result is decoded as `type`.
        Raises: InvalidArgument. The future raises: PromiseError.
        """
        return self._promise(name, type, None, None, None)

    def request(
        self,
        question: Any,
        type: Any = Any,
        *,
        name: str = "request",
        assignee: str | None = None,
        deadline: Duration | None = None,
    ) -> DurableFuture[Any]:
        """Ask a human, and return the future of the answer: a promise that is listed with its question.

        Args:
            question: Text, or any value that can be a payload; it is stored to be shown, whatever the codec.
            type: Of the answer; the form in the admin is made of it, and an answer that does not fit is refused.
            name: What kind of question it is, in lists.
            assignee: Whom it is meant for, for example a user's name; lists are filtered by it. It restricts nobody.
            deadline: How long it may take, as timedelta or int milliseconds.
        Raises: PayloadError, InvalidArgument.
        The future raises: PromiseExpired (a TimeoutError) after the deadline, PromiseError.
        """
        asked = self._program.codec.plain.encode(question)
        late = None if deadline is None else milliseconds(deadline, "deadline")
        return self._promise(name, type, asked, assignee, late)

    def _promise(
        self, name: str, type: Any, question: Payload | None, assignee: str | None, deadline_ms: int | None
    ) -> DurableFuture[Any]:
        command = commands.CreatePromise(
            name=self._program.checked_name(name, "name of a promise"),
            promise_id=self._new_guid(),
            answered_as=As(self._program.codec, type),
            question=question,
            assignee=None if assignee is None else self._program.checked_name(assignee, "assignee"),
            deadline_ms=deadline_ms,
        )
        what = "Promise" if question is None else "Request"
        return self._program.issue(command, command.answered_as, f"{what} {name!r}")
