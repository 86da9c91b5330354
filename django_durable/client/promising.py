"""Settling promises and answering requests: in the caller's transaction, if there is one."""

from __future__ import annotations

import json
from typing import Any

from ..codec.fitting import misfits
from ..engine.arguments import checked_text
from ..engine.errors import InvalidArgument
from ..engine.failures import Failure
from ..engine.states import PromiseOutcome
from ..store import promises
from ..store.filters import PAGE_SIZE, checked_limit
from ..store.promises import PromiseRecord
from .base import ClientBase
from .twins import twin


class Promising(ClientBase):
    """The methods for what orchestrations wait for and somebody outside decides."""

    def complete_promise(self, instance_id: str, promise_id: str, result: Any = None, *, by: str = "") -> None:
        """Complete a promise, or answer a request: the first who does wins.

        Args:
            promise_id: The `promise_id` of the future; requests are listed with theirs.
            by: Who it was, for the record, for example a user's name.
        Raises:
            InstanceNotFound, PromiseNotFound.
            PromiseSettled: somebody else was first, or it is no longer waited for. Nothing was changed.
            IllegalTransition: the instance has finished.
            InvalidArgument: the answer does not fit the question's type; the message says where.
            PayloadError. Nothing was written.
        """
        payload = self.registry.codec.encode(result, "The result of the promise")
        found = self.get_promise(instance_id, promise_id)
        if found.answer is not None:
            value = json.loads(self.registry.codec.plain.encode(result))
            if wrong := misfits(value, json.loads(found.answer)):
                raise InvalidArgument(f"The answer to {found.name!r} does not fit. {wrong}")
        self._settle(instance_id, promise_id, PromiseOutcome.COMPLETED, payload, by)

    def fail_promise(self, instance_id: str, promise_id: str, error: BaseException | str, *, by: str = "") -> None:
        """Fail a promise: its code gets a PromiseError with the type and message of `error`, text being a message.

        Raises: as `complete_promise`.
        """
        failure = Failure("PromiseFailed", error) if isinstance(error, str) else Failure.of(error)
        self._settle(instance_id, promise_id, PromiseOutcome.FAILED, failure, by)

    def get_promise(self, instance_id: str, promise_id: str) -> PromiseRecord:
        """Return a promise of the execution that an instance is in. Raises: InstanceNotFound, PromiseNotFound."""
        checked = self._checked_promise_id(promise_id)
        return promises.find_promise(self._checked_id(instance_id), checked, using=self.using)

    def list_requests(
        self,
        *,
        assignee: str | None = None,
        instance_id: str | None = None,
        open_only: bool = True,
        before: int | None = None,
        limit: int = PAGE_SIZE,
    ) -> list[PromiseRecord]:
        """Return requests, newest first; by default those that are still to be answered.

        Args:
            assignee: Only those meant for them; an empty text for those meant for nobody.
            before: The `id` of the last one seen, for the next page.
        Raises: InvalidArgument: the argument that the message names.
        """
        checked_limit(limit)
        if assignee:
            self._checked_name(assignee, "assignee")
        if instance_id is not None:
            self._checked_id(instance_id)
        return promises.list_requests(
            open_only=open_only,
            assignee=assignee,
            instance_id=instance_id,
            before=before,
            limit=limit,
            using=self.using,
        )

    def _settle(self, instance_id: str, promise_id: str, outcome: PromiseOutcome, payload: Any, by: str) -> None:
        promises.settle(
            self._checked_id(instance_id),
            self._checked_promise_id(promise_id),
            outcome=outcome,
            payload=payload,
            by=self._checked_name(by, "name of who settles the promise") if by else "",
            now=self._clock(),
            using=self.using,
        )

    def _checked_promise_id(self, promise_id: str) -> str:
        return checked_text(promise_id, "promise id", self.registry.environment.limits.name_length)

    acomplete_promise = twin(complete_promise)
    afail_promise = twin(fail_promise)
    aget_promise = twin(get_promise)
    alist_requests = twin(list_requests)
