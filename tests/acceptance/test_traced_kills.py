"""`kill -9` of a worker that traces: what another one replays is in the trace once."""

from __future__ import annotations

from .checks import check_finished, completed_labels, output_of
from .stage import until

SHORT = 1.0
TRACING = ["database"]


def test_spans_of_a_killed_worker_are_there_once_and_go_on_with_the_next(workers, client, stage):
    victim = workers.start(LEASE=SHORT, TRACING=TRACING, name="victim")
    client.start_orchestration("it", "acceptance.traced", {"steps": 4, "gate_at": 2})
    until(lambda: completed_labels(client, "it") == {"s0", "s1"}, "everything before the gate to be committed")
    until(lambda: "s2" in stage.counts("it"), "the gate")
    before = {each.span_id: each for each in client.read_spans("it")}
    victim.kill()
    stage.open("gate")
    workers.start(TRACING=TRACING, name="survivor")
    output_of(client, "it")
    check_finished(client, "it")
    spans = client.read_spans("it")
    named = {each.name: each for each in spans if each.kind == "span"}
    assert sorted(named) == ["all", "step 0", "step 1", "step 2", "step 3"]
    assert [each["attributes"]["number"] for each in named["all"].events] == [0, 1, 2, 3]
    assert all(each.ended_at is not None for each in spans)
    # What had ended by then is as the victim left it; what was open has begun where it had begun.
    for each in spans:
        if (earlier := before.get(each.span_id)) is not None:
            assert each.started_at == earlier.started_at
            assert each.ended_at == earlier.ended_at or earlier.ended_at is None
    attempts = [each.attributes["worker"] for each in spans if each.kind == "attempt"]
    assert attempts == ["victim", "victim", "survivor", "survivor"]
    assert sum(each.attributes["replayed"] > 0 for each in spans if each.kind == "turn") == 1
