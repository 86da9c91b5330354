"""When the dispatcher looks at the database, and what it chooses to start at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django_durable.worker.lookout import ASK_EVERY, Lookout

NOW = datetime(2026, 1, 2, tzinfo=UTC)
POLL = timedelta(seconds=5)


def looked(now: datetime = NOW) -> Lookout:
    """Return a lookout that has just looked at everything and knows of nothing."""
    lookout = Lookout(POLL)
    lookout.update(now)
    assert lookout.asks(now, busy=False)
    lookout.inbox = lookout.tasks = False
    return lookout


def test_a_new_lookout_looks_at_once() -> None:
    lookout = Lookout(POLL)
    lookout.update(NOW)

    assert lookout.inbox
    assert lookout.tasks
    assert lookout.seconds(NOW) == 0


def test_nothing_is_looked_at_before_the_poll_interval_is_over() -> None:
    lookout = looked()

    lookout.update(NOW + timedelta(seconds=4.9))
    assert not lookout.inbox
    assert lookout.seconds(NOW + timedelta(seconds=4.5)) == 0.5

    lookout.update(NOW + POLL)
    assert lookout.inbox


def test_it_wakes_when_something_becomes_due() -> None:
    lookout = looked()
    lookout.expect(NOW + timedelta(seconds=2))
    lookout.expect(NOW + timedelta(seconds=3))

    assert lookout.seconds(NOW) == 2
    lookout.update(NOW + timedelta(seconds=2))
    assert lookout.inbox


def test_it_asks_what_is_due_once_after_a_hint() -> None:
    lookout = looked()
    assert not lookout.asks(NOW, busy=False)

    lookout.look()
    assert lookout.asks(NOW, busy=False)
    assert not lookout.asks(NOW, busy=False)


def test_a_busy_dispatcher_asks_what_is_due_now_and_then() -> None:
    lookout = looked()
    lookout.look()

    assert not lookout.asks(NOW + timedelta(milliseconds=50), busy=True)
    assert lookout.asks(NOW + timedelta(milliseconds=100), busy=True)


def test_it_asks_again_after_a_while_in_case_a_hint_was_lost() -> None:
    lookout = looked()
    lookout.update(NOW + ASK_EVERY)

    assert lookout.asks(NOW + ASK_EVERY, busy=False)
