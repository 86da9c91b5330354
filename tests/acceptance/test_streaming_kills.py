"""`kill -9` of workers while generators yield, activities send, code reads, signals arrive and promises are settled."""

from __future__ import annotations

import itertools

import pytest

from .checks import check_finished, output_of
from .stage import until

SHORT = 1.0
NAMES = ("number-1", "number_async-2", "number_locally-3")


def values(client, key: str, stream: str) -> list:
    return [item.value for item in client.read_stream(key, stream, limit=1000).items]


def test_a_generator_goes_on_from_what_was_stored_when_its_worker_was_killed(workers, client, stage):
    victim = workers.start(LEASE=SHORT, name="victim")
    client.start_orchestration("it", "acceptance.generates", {"count": 40, "gate_at": 20})
    for name in NAMES:
        until(lambda name=name: len(values(client, "it", name)) == 20, f"20 partial results of {name}")
    victim.kill()
    stage.open("gate")
    workers.start(name="survivor")
    assert output_of(client, "it") == [True, True, True]
    check_finished(client, "it")
    for name in NAMES:
        assert values(client, "it", name) == [[each] for each in range(40)]
        assert client.read_stream("it", name).ended
    attempts = {(run.worker, run.label) for run in stage.runs()}
    assert attempts == {("victim", "from-0"), ("survivor", "from-20")}


@pytest.mark.timeout(300)
def test_generators_killed_at_whatever_moment_lose_and_double_nothing(workers, client, stage):
    """Nothing is waited for but that a few more were stored."""
    client.start_orchestration("it", "acceptance.generates", {"count": 400, "gate_at": -1})
    for kills in range(4):
        victim = workers.start(LEASE=SHORT)
        until(lambda least=60 * kills: len(values(client, "it", NAMES[0])) > least + 10, "more partial results")
        victim.kill()
    workers.start(LEASE=SHORT)
    assert output_of(client, "it") == [True, True, True]
    check_finished(client, "it")
    for name in NAMES:
        assert values(client, "it", name) == [[each] for each in range(400)]
    began = [int(run.label.removeprefix("from-")) for run in stage.runs()]
    assert len(began) > 2
    assert max(began) > 60


def test_what_an_activity_had_sent_is_not_sent_again_and_is_read_in_order(workers, client, stage):
    victim = workers.start(LEASE=SHORT)
    client.start_orchestration("it", "acceptance.dictates", {"count": 30, "gate_at": 17})
    stage.wait_until_reached("gate")
    victim.kill()
    stage.open("gate")
    workers.start()
    assert output_of(client, "it") == [30, list(range(30))]
    assert values(client, "it", "words") == list(range(30))
    check_finished(client, "it")


@pytest.mark.timeout(300)
def test_a_conversation_goes_on_through_kills_and_nothing_is_lost_doubled_or_out_of_order(workers, client, stage):
    rounds = 12
    client.start_orchestration("it", "acceptance.converses", {"rounds": rounds})
    said = client.open_stream("it", "said")
    worker = workers.start(LEASE=SHORT)
    # Each kind of message arrives while a worker has just been killed, once in a while, and else while one runs.
    for number, kind in itertools.product(range(rounds), ("order", "promise", "signal")):
        if number % 3 == ("order", "promise", "signal").index(kind):
            worker.kill()
        match kind:
            case "order":
                client.send_to_stream("it", "orders", number)
            case "promise":
                if worker.process.poll() is not None:
                    worker = workers.start(LEASE=SHORT)
                client.complete_promise("it", next(iter(said)), number * 10)
            case "signal":
                client.send_to_stream("it", "ring", number * 100)
        if worker.process.poll() is not None:
            worker = workers.start(LEASE=SHORT)
    assert output_of(client, "it") == [[each, each * 10, each * 100] for each in range(rounds)]
    assert len(set(values(client, "it", "said"))) == rounds
    check_finished(client, "it")
