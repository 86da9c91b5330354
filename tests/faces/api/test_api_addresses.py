"""Instance ids in addresses: any text leads to its own instance and to no other."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from django_durable.api.converters import TextConverter

from .conftest import address

IDS = [
    "order-7",
    "order:7",
    "a/b",
    "/",
    "a/",
    "/a",
    "a//b",
    "a/status",
    "a/kv/status",
    "status",
    "bulk",
    ".",
    "..",
    "...",
    "a/../b",
    "100%",
    "%2F",
    "%252F",
    "a%20b",
    "a b",
    "a?b=c&d#e",
    "a+b;c,d=e",
    "été/日本/🎉",
    "back\\slash",
    "'\"<b>",
    "~user@host$1!*()[]{}|^`",
]


@pytest.fixture
def all_ids(durable) -> None:
    for number, instance_id in enumerate(IDS):
        durable.client.start_orchestration(instance_id, "orders.doubles", number)


@pytest.mark.parametrize("instance_id", IDS)
def test_an_address_that_the_api_gives_leads_to_its_instance(api, all_ids, instance_id) -> None:
    for name in ("instance-detail", "instance-status"):
        found = api.get(reverse(f"django_durable:{name}", kwargs={"instance_id": instance_id})).json()
        assert found["instance_id"] == instance_id


@pytest.mark.parametrize("instance_id", IDS)
def test_an_id_that_is_encoded_twice_leads_to_its_instance(api, all_ids, instance_id) -> None:
    # A client's URL library takes a step up for dots, however often they are encoded as themselves.
    if instance_id.strip("."):
        assert api.get(address(instance_id)).json()["instance_id"] == instance_id
        assert api.get(address(instance_id, "history/")).status_code == 200


@pytest.mark.parametrize("instance_id", ["order:7", "a/b", "/a", "a//b", "a b", "a?b=c&d#e", "été/日本/🎉"])
def test_an_id_that_is_encoded_once_is_understood(api, all_ids, instance_id) -> None:
    once = quote(instance_id, safe="")

    assert api.get(f"/durable/instances/{once}/status/").json()["instance_id"] == instance_id
    assert api.get(f"/durable/instances/{once}/").json()["instance_id"] == instance_id


def test_the_location_of_a_start_leads_to_the_instance(api, durable) -> None:
    body = {"orchestration": "orders.doubles", "input": 1, "instance_id": "a/50%/status"}

    location = api.post("/durable/instances/", body, format="json")["Location"]

    assert api.get(location).json()["instance_id"] == "a/50%/status"


@pytest.mark.parametrize("key", ["status", "history", "a/b", "50%", ".."])
def test_keys_and_queues_may_have_any_name(api, durable, key) -> None:
    durable.client.start_orchestration("a/b", "orders.waits")
    kv = reverse("django_durable:instance-kv-entry", kwargs={"instance_id": "a/b", "key": key})
    queue = reverse("django_durable:instance-enqueue", kwargs={"instance_id": "a/b", "queue": key})

    assert api.get(kv).json()["code"] == "not_found"
    assert api.post(queue, {"data": 1}, format="json").status_code == 202


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1))
def test_every_text_survives_the_converter(text) -> None:
    made = TextConverter().to_url(text)

    assert "/" not in made
    assert made.strip(".")
    assert TextConverter().to_python(made) == text
