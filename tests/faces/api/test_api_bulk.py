"""One operation on many instances: each for itself, none of them by surprise."""

from __future__ import annotations

import pytest

from django_durable.api.views.bulk import OPERATIONS

BULK = "/durable/bulk/"


@pytest.fixture
def some(durable) -> None:
    for number in range(3):
        durable.client.start_orchestration(f"waits-{number}", "orders.waits")
        durable.client.start_orchestration(f"done-{number}", "orders.doubles", number)
    durable.client.start_orchestration("family", "orders.parent")
    durable.run()


def bulk(api, operation: str, **body) -> dict:
    answer = api.post(BULK, {"operation": operation, **body}, format="json")
    assert answer.status_code == 200, answer.content
    return answer.json()


def done(result: dict) -> set[str]:
    return {each["instance_id"] for each in result["results"] if each["ok"]}


def statuses(durable) -> dict[str, str]:
    return {each.instance_id: each.runtime_status for each in durable.client.list_instances().items}


def test_a_filter_selects_what_the_operation_is_legal_for(api, durable, some) -> None:
    result = bulk(api, "terminate", filter={"instance_id_prefix": "waits-"}, reason="closed")

    assert done(result) == {"waits-0", "waits-1", "waits-2"}
    assert (result["succeeded"], result["failed"], result["more"]) == (3, 0, False)
    assert durable.client.get_status("waits-1").error.message == "The instance was terminated: closed"
    assert durable.client.get_status("done-1").runtime_status == "Completed"


def test_ids_are_answered_one_by_one(api, durable, some) -> None:
    result = bulk(api, "suspend", instance_ids=["waits-0", "done-0", "nothing", "waits-0"])

    assert {each["instance_id"]: each["code"] for each in result["results"]} == {
        "waits-0": None,
        "done-0": "illegal_transition",
        "nothing": "instance_not_found",
    }
    assert (result["succeeded"], result["failed"]) == (1, 2)
    assert durable.client.get_status("waits-0").runtime_status == "Suspended"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_dry_run_changes_nothing_and_foretells_what_happens(api, durable, some, operation) -> None:
    durable.client.suspend_instance("waits-2")
    before = statuses(durable)
    ids = [*before, "nothing"]

    foretold = bulk(api, operation, instance_ids=ids, dry_run=True)
    assert statuses(durable) == before

    happened = bulk(api, operation, instance_ids=ids)
    # A terminated or deleted parent takes its child along before its turn comes, whichever was first.
    outcome = {each["instance_id"]: each["ok"] for each in happened["results"] if "family" not in each["instance_id"]}
    assert outcome == {
        each["instance_id"]: each["ok"] for each in foretold["results"] if "family" not in each["instance_id"]
    }


def test_a_limit_is_kept_and_tells_that_there_is_more(api, durable, some) -> None:
    first = bulk(api, "delete", filter={"orchestration": "orders.doubles"}, limit=2)
    second = bulk(api, "delete", filter={"orchestration": "orders.doubles"}, limit=2)

    assert (len(done(first)), first["more"]) == (2, True)
    assert (len(done(second)), second["more"]) == (1, False)


def test_deleting_by_a_filter_leaves_what_runs_and_children_alone(api, durable, some) -> None:
    assert done(bulk(api, "delete", filter={})) == {"done-0", "done-1", "done-2"}
    assert done(bulk(api, "delete", filter={"instance_id_prefix": "fam"}, force=True)) == {"family"}
    assert set(statuses(durable)) == {"waits-0", "waits-1", "waits-2"}


def test_a_filter_by_status_is_not_widened(api, some) -> None:
    assert bulk(api, "terminate", filter={"runtime_status": ["Completed"]})["results"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"operation": "cancel"},
        {"operation": "cancel", "filter": {}, "instance_ids": ["a"]},
        {"operation": "explode", "filter": {}},
        {"operation": "cancel", "filter": {"status": "Running"}},
        {"operation": "cancel", "filter": []},
        {"operation": "cancel", "instance_ids": []},
        {"operation": "cancel", "instance_ids": "order-7"},
        {"operation": "cancel", "instance_ids": [1]},
        {"operation": "cancel", "filter": {}, "limit": 1001},
    ],
)
def test_a_bulk_operation_that_is_not_clear_does_nothing(api, durable, some, body) -> None:
    before = statuses(durable)

    answer = api.post(BULK, body, format="json")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert statuses(durable) == before


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_needs_its_own_permission_for_each_instance(api_of, user_with, durable, some, operation) -> None:
    needed = OPERATIONS[operation].right.codename
    others = {each.right.codename for each in OPERATIONS.values()} - {needed}
    before = statuses(durable)
    asked = {"operation": operation, "instance_ids": list(before)}

    without = api_of(user_with("view_instance", *others)).post(BULK, asked, format="json")
    blind = api_of(user_with(needed, username="blind")).post(BULK, asked, format="json")

    assert {each["code"] for each in without.json()["results"]} == {"permission_denied"}
    assert (blind.status_code, blind.json()["code"]) == (403, "permission_denied")
    assert before == statuses(durable)


def test_failed_trees_are_retried_by_their_roots(api, durable) -> None:
    durable.client.start_orchestration("fails", "orders.fails")
    durable.client.start_orchestration("family", "orders.parent")
    durable.run()
    durable.client.terminate_instance("family")

    foretold = bulk(api, "retry", filter={}, dry_run=True)
    by_id = bulk(api, "retry", instance_ids=["family-child"])
    result = bulk(api, "retry", filter={})

    assert done(foretold) == done(result) == {"fails", "family"}
    assert [each["code"] for each in by_id["results"]] == ["illegal_transition"]
    assert statuses(durable) == {"fails": "Running", "family": "Running", "family-child": "Running"}
