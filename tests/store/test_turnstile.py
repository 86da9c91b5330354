"""The turnstile in front of SQLite's write lock."""

from __future__ import annotations

import threading

from django_durable.store.turnstile import Turnstile

LONG = 60.0


def test_turns_are_given_in_the_order_in_which_they_were_asked_for():
    turnstile, order = Turnstile(), []

    def pass_through(number):
        with turnstile.turn(LONG):
            order.append(number)

    threads = []
    with turnstile.turn(LONG):
        for number in range(5):
            threads.append(threading.Thread(target=pass_through, args=(number,)))
            threads[-1].start()
            wait_until(lambda: len(turnstile._waiting) == len(threads))
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]


def test_who_waited_too_long_goes_on_without_the_turn_and_leaves_it_where_it_was():
    turnstile = Turnstile()
    with turnstile.turn(LONG):
        with turnstile.turn(0.001):
            pass
        assert turnstile._taken
        assert not turnstile._waiting
    assert not turnstile._taken


def test_an_error_gives_the_turn_back():
    turnstile = Turnstile()
    try:
        with turnstile.turn(LONG):
            raise ValueError
    except ValueError:
        pass
    with turnstile.turn(0.001):
        assert turnstile._taken


def wait_until(condition):
    """Let other threads run until a condition holds; the test's own time-out ends a wait in vain."""
    pause = threading.Event()
    while not condition():
        pause.wait(0.001)
