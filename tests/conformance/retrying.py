"""What the tests of retries and forks share: an outside world that breaks, and stories whose code is corrected."""

from __future__ import annotations

import functools
from collections import Counter

from django_durable import RetryPolicy
from django_durable.engine.states import RuntimeStatus
from django_durable.testing import assert_prefix_law, assert_replays
from tests.engine.support import in_style


class Retrying:
    """One style's stories, the world that their activity `act` depends on, and the instance `one`.

    Attributes:
        broken: Names of what fails.
        ran: How often each was begun.
    """

    def __init__(self, durable, style: str) -> None:
        self.durable, self.client, self.style = durable, durable.client, style
        self.broken: set[str] = set()
        self.ran: Counter[str] = Counter()
        self._code: dict[str, object] = {}

        @durable.registry.activity("act", retry=RetryPolicy(max_attempts=2, backoff="none"))
        def act(name: str) -> str:
            self.ran[name] += 1
            if name in self.broken:
                raise ConnectionError(f"{name} is down")
            return f"{name} done"

    def define(self, story, name: str = "story"):
        """Register a story, told in this style."""
        self.correct(story, name)

        @functools.wraps(story)
        def latest(ctx, *args, **kwargs):
            return self._code[name](ctx, *args, **kwargs)

        return self.durable.registry.orchestration(name)(latest)

    def correct(self, story, name: str = "story") -> None:
        """Replace the code of a story, as a deploy does."""
        self._code[name] = in_style(story, self.style)

    def start(self, definition, key: str = "one", **arguments) -> None:
        self.client.start_definition(definition, (), arguments, instance_id=key)
        self.durable.run()

    def fail(self, story, key: str = "one", **arguments) -> None:
        """Start a story and see it fail; then everything is mended."""
        self.start(self.define(story), key, **arguments)
        assert self.status(key) == RuntimeStatus.FAILED, self.kinds(key)
        self.broken.clear()

    def retry(self, key: str = "one", from_event: int | None = None) -> None:
        self.client.retry_instance(key, from_event=from_event)
        self.durable.run()

    def status(self, key: str = "one") -> str:
        return self.client.get_status(key).runtime_status

    def kinds(self, key: str = "one", number: int | None = None) -> list[str]:
        return [event.kind for event in self.client.read_execution_history(key, number)]

    def output(self, key: str = "one"):
        """Return the output of an instance that completed, having replayed it from every prefix, and run nothing."""
        assert self.status(key) == RuntimeStatus.COMPLETED, (self.client.get_status(key), self.kinds(key))
        before, history = self.ran.copy(), self.client.read_execution_history(key)
        assert_replays(self.durable.registry.environment, history)
        assert_prefix_law(self.durable.registry.environment, history)
        assert self.ran == before
        return self.client.get_status(key).output
