"""How the orchestrations are played that crash, and what they come to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import NamedTuple

from django_durable.client import Client

from . import dealings  # noqa: F401 - registers more of them
from .stories import MINUTE

Moves = Iterator[timedelta | None]


def simply(client: Client) -> Moves:
    yield None


def with_event(client: Client) -> Moves:
    client.raise_event("it", "early", "came early")
    yield None


def with_messages(client: Client) -> Moves:
    client.enqueue_event("it", "box", "m0")
    client.enqueue_event("it", "box", "m1")
    yield None
    client.enqueue_event("it", "box", "m2")
    yield None
    client.enqueue_event("it", "box", "m3")
    yield None


def with_time(client: Client) -> Moves:
    yield None
    yield 10 * MINUTE


def with_cancel(client: Client) -> Moves:
    yield None
    client.cancel_instance("it", "no longer needed")
    yield None


def with_suspension(client: Client) -> Moves:
    yield None
    client.suspend_instance("it")
    client.enqueue_event("it", "box", "while suspended")
    yield None
    client.resume_instance("it")
    yield None


def with_retry(client: Client) -> Moves:
    yield None
    client.retry_instance("it")
    yield None


def with_fork(client: Client) -> Moves:
    client.enqueue_event("it", "box", "to the first")
    yield None
    client.fork_instance("it", "copy", from_event=3)
    client.enqueue_event("copy", "box", "to the copy")
    yield None


def with_answers(client: Client) -> Moves:
    """Too late for the first question, in time for the second; the third is withdrawn."""
    yield None
    yield 61 * MINUTE
    client.complete_promise("it", client.list_requests()[0].promise_id, 5, by="ada")
    yield None
    yield 10 * MINUTE


def with_stream(client: Client) -> Moves:
    client.send_to_stream("it", "words", "from outside")
    yield None


def with_rewind(client: Client) -> Moves:
    """To before the child that failed; what it had written is not written again."""
    yield None
    client.retry_instance("it", from_event=client.read_execution_history("it")[-1].seq - 1)
    yield None


class Story(NamedTuple):
    """How an orchestration is played, and what it comes to.

    Attributes:
        moves: What happens once it was started.
        output: Of `it`; None where it is canceled.
        effects: The rows that its atomic activities write.
        plays: The story whose orchestration it plays, if it has none of its own.
    """

    moves: Callable[[Client], Moves]
    output: object
    effects: tuple[str, ...] = ()
    plays: str | None = None

    def scenario(self, name: str, style: str) -> Callable[[Client], Moves]:
        """Return what to play; `name` is the story's own."""
        orchestration = f"{self.plays or name}.{style}"

        def play(client: Client) -> Moves:
            client.start_orchestration("it", orchestration)
            yield from self.moves(client)

        return play


NOTES = [f"n{number}" for number in range(4)]
STORIES = {
    "chain": Story(simply, NOTES[:3]),
    "fan-out": Story(simply, NOTES),
    "children": Story(simply, ["leaf", "leaf"]),
    "continue-as-new": Story(with_event, [3, 3, "came early"]),
    "queue": Story(with_messages, ["m0", "m1", "m2", "m3"]),
    "kv": Story(simply, {"count": 3, "key0": 0, "key2": 2}),
    "atomic": Story(simply, ["first", "w0", "w1"], ("first 0", "w0 0", "w1 0")),
    "retry": Story(with_time, [3, "after"]),
    "timer": Story(with_time, [1, "rung"]),
    "cancel": Story(with_cancel, None, ("compensated 0",)),
    "detached": Story(simply, "left alone"),
    "suspend": Story(with_suspension, ["first", "while suspended"], ("written 0",), plays="fork"),
    "retry-instance": Story(with_retry, ["before", "outside", "after"], ("before 0",)),
    "fork": Story(with_fork, ["first", "to the first"], ("written 0", "written 1")),
    "promise": Story(with_answers, ["late", 5, 1]),
    "stream": Story(with_stream, ["from outside", "one", "two", "three"]),
    "local-step": Story(simply, [1, 2, 3]),
    "session": Story(simply, ["n0", "n1", "w0"], ("w0 0",)),
    "rewind": Story(with_rewind, ["above", ["before", "outside", "after"]], ("above 0", "before 0")),
}
