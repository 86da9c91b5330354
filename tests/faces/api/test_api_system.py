"""What can be started, who works, how much there is, and whether it answers."""

from __future__ import annotations

import pytest

from django_durable.api.views.base import DurableView
from django_durable.store import workers
from django_durable.store.records import TagFilter


def test_the_index_leads_to_every_list_that_there_is(api, durable) -> None:
    found = api.get("/durable/").json()

    assert list(found) == ["instances", "requests", "orchestrations", "workers", "metrics"]
    assert found["instances"] == "http://testserver/durable/instances/"
    assert {api.get(address).status_code for address in found.values()} == {200}


@pytest.mark.parametrize(
    ("held", "seen"),
    [
        (["view_worker"], ["workers"]),
        (["start_instance"], ["orchestrations"]),
        (["view_instance"], ["instances", "requests", "metrics"]),
    ],
)
def test_the_index_names_only_what_its_reader_may_see(durable, api_of, user_with, held, seen) -> None:
    assert list(api_of(user_with(*held)).get("/durable/").json()) == seen


def test_the_index_is_closed_to_those_who_may_see_nothing(durable, api_of, user_with) -> None:
    assert api_of(None).get("/durable/").json()["code"] == "not_authenticated"
    assert api_of(user_with("cancel_instance")).get("/durable/").json()["code"] == "permission_denied"


def test_a_browser_finds_links_in_the_index(durable, api_of, user_with, settings) -> None:
    page = api_of(user_with("view_instance")).get("/durable/", HTTP_ACCEPT="text/html").content.decode()

    assert 'href="http://testserver/durable/instances/"' in page
    assert "<h1>Durable workflows</h1>" in page


def test_orchestrations_are_listed_with_the_schema_of_their_input(api, durable) -> None:
    rows = api.get("/durable/orchestrations/").json()["results"]

    doubles = next(row for row in rows if row["name"] == "orders.doubles")
    assert doubles["description"] == "Returns twice a number."
    assert doubles["input_schema"]["properties"]["number"] == {"type": "integer"}
    assert doubles["input_schema"]["required"] == ["number"]
    assert [(row["version"], row["latest"]) for row in rows if row["name"] == "orders.old"] == [
        ("1.0.0", False),
        ("2.0.0", True),
    ]


def test_only_what_may_be_started_is_listed(durable, api_of, user_with, monkeypatch) -> None:
    from django_durable.permissions import DurablePermissions

    monkeypatch.setattr(DurablePermissions, "can_start", lambda self, user, name: name == "orders.fails")
    somebody = api_of(user_with())

    assert [row["name"] for row in somebody.get("/durable/orchestrations/").json()["results"]] == ["orders.fails"]
    assert somebody.post("/durable/instances/", {"orchestration": "orders.fails"}, format="json").status_code == 202
    assert somebody.post("/durable/instances/", {"orchestration": "orders.waits"}, format="json").status_code == 403


def test_workers_are_listed(api, durable) -> None:
    workers.register("host-1", TagFilter.DEFAULT_ONLY, 8, durable.now())

    (row,) = api.get("/durable/workers/").json()["results"]

    assert (row["worker_id"], row["concurrency"], row["stopping"]) == ("host-1", 8, False)
    assert row["heartbeat_at"].endswith("Z")


def test_metrics_are_numbers(api, durable) -> None:
    durable.client.start_orchestration("order-7", "orders.waits")

    found = api.get("/durable/metrics/").json()

    assert found["system"]["instances_by_status"]["Pending"] == 1
    assert found["queues"]["orchestrator_queue"] == 1
    assert found["workers"] == 0


def test_metrics_are_read_by_prometheus(api, durable) -> None:
    durable.client.start_orchestration("order-7", "orders.waits")

    answer = api.get("/durable/metrics/prometheus/", HTTP_ACCEPT="text/plain;version=0.0.4, */*;q=0.1")

    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.content.decode().splitlines()
    assert 'django_durable_instances{runtime_status="Pending"} 1' in lines
    assert "django_durable_orchestrator_queue 1" in lines
    assert 'django_durable_worker_queue{tag=""} 0' in lines
    declared = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(declared) == len(set(declared))


def test_the_labels_of_metrics_are_escaped(api, durable, monkeypatch) -> None:
    from django_durable.client import QueueDepths

    monkeypatch.setattr(
        DurableView.client, "get_queue_depths", lambda: QueueDepths(worker_queue_by_tag={'a"b\\c\nd': 2}), raising=False
    )

    assert (
        r'django_durable_worker_queue{tag="a\"b\\c\nd"} 2' in api.get("/durable/metrics/prometheus/").content.decode()
    )


@pytest.mark.parametrize("which", ["live", "ready"])
def test_health_is_open_to_everybody_and_says_nothing_else(durable, api_of, which) -> None:
    answer = api_of(None).get(f"/durable/health/{which}/")

    assert (answer.status_code, answer.json()) == (200, {"ok": True})


def test_a_process_without_its_database_lives_and_is_not_ready(durable, api_of, monkeypatch) -> None:
    monkeypatch.setattr(DurableView.client, "is_reachable", lambda: False, raising=False)
    api = api_of(None)

    assert api.get("/durable/health/live/").status_code == 200
    assert api.get("/durable/health/ready/").status_code == 503


def test_being_alive_needs_no_query(durable, api_of, django_assert_num_queries) -> None:
    with django_assert_num_queries(0):
        api_of(None).get("/durable/health/live/")
