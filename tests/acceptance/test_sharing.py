"""Several workers on one database, and workers that lack code."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from .checks import check_finished, output_of
from .stage import until


def test_two_workers_share_the_work_and_nothing_runs_twice(workers, client, stage, effects):
    pair = [workers.start(), workers.start()]
    for each in pair:
        each.wait_until_started()
    keys = [f"it-{number}" for number in range(80)]
    for number, key in enumerate(keys):
        client.start_orchestration(key, "acceptance.mixture", number)
    for number, key in enumerate(keys):
        assert output_of(client, key)[0] == number
    runs = stage.runs()
    per_activity = Counter((run.instance, run.label) for run in runs)
    assert set(per_activity.values()) == {1}
    assert len(per_activity) == 7 * len(keys)
    per_worker = Counter(run.worker for run in runs)
    assert min(per_worker[each.name] for each in pair) > len(runs) / 50
    assert effects.objects.count() == 2 * len(keys)
    for key in keys[::20]:
        check_finished(client, key)


def test_a_session_stays_with_its_worker_for_longer_than_a_lease(workers, client, stage):
    from django_durable.models import Session

    pair = [workers.start(LEASE=3), workers.start(LEASE=3)]
    for each in pair:
        each.wait_until_started()
    client.start_orchestration("it", "acceptance.session", {"steps": 4, "gate_at": 1})
    stage.wait_until_reached("gate")
    first = Session.objects.get().lease_until
    until(lambda: Session.objects.get().lease_until > first + timedelta(seconds=3), "the session to be renewed")
    assert {each.worker_id for each in client.list_workers()} == {each.name for each in pair}
    stage.open("gate")
    assert len(set(output_of(client, "it"))) == 1
    assert stage.counts("it") == {"s0": 1, "s1": 1, "s2": 1, "s3": 1}


def test_instances_without_code_wait_blocked_for_a_worker_that_has_it(workers, client):
    """As in a bad deployment: the new worker lacks the module, and nothing has to be repaired by hand."""
    bad = workers.start(variables={"ACCEPTANCE_WITHOUT_CODE": "1"})
    for number in range(5):
        client.start_orchestration(f"it-{number}", "acceptance.chain", 2)
    until(lambda: len(client.list_instances_by_status("Blocked")) == 5, "the instances to be blocked")
    reason = client.get_status("it-0").blocked_reason
    assert reason.error_type.endswith("NotRegistered")
    assert "acceptance.chain" in reason.message
    assert bad.stop() == 0
    client.start_orchestration("new", "acceptance.chain", 1)
    workers.start()
    assert output_of(client, "new") == ["s0"]
    for number in range(5):
        assert output_of(client, f"it-{number}") == ["s0", "s1"]
        check_finished(client, f"it-{number}")
