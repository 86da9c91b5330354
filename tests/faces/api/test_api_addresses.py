"""Instance ids in addresses: any text leads to its own instance and to no other."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from django.urls import reverse
from hypothesis import given, strategies as st
from rest_framework.utils.breadcrumbs import get_breadcrumbs

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


def shown_by(api, address_of) -> dict[str, str]:
    """Return which instance is shown at the address of each."""
    return {each: api.get(address_of(each)).json().get("instance_id") for each in IDS}


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("", []),
        ("status/", ["Status"]),
        ("queues/box/messages/", ["Messages"]),
        ("promises/p/complete/", ["Promise", "Completion"]),
        ("streams/words/items/", ["Streams", "Items"]),
        ("kv/total/", ["Key Values", "Key Value"]),
    ],
)
def test_the_browsable_api_leads_back_over_what_there_is_and_once(rest, expected) -> None:
    crumbs = get_breadcrumbs(address("a/b", rest))

    assert [name for name, _ in crumbs] == ["Durable workflows", "Instances", "Instance", *expected]
    assert crumbs[2][1] == address("a/b")


@pytest.mark.parametrize("name", ["instance-detail", "instance-status"])
def test_an_address_that_the_api_gives_leads_to_its_instance(api, all_ids, name) -> None:
    found = shown_by(api, lambda each: reverse(f"django_durable:{name}", kwargs={"instance_id": each}))

    assert found == {each: each for each in IDS}


@pytest.mark.parametrize("rest", ["", "status/"])
def test_an_id_that_is_encoded_twice_leads_to_its_instance(api, all_ids, rest) -> None:
    found = shown_by(api, lambda each: address(each, rest))

    assert found == {each: each for each in IDS}


@pytest.mark.parametrize("rest", ["", "status/"])
def test_an_id_that_is_encoded_once_is_understood(api, all_ids, rest) -> None:
    ids = ["order:7", "a/b", "/a", "a//b", "a b", "a?b=c&d#e", "été/日本/🎉"]

    found = [api.get(f"/durable/instances/{quote(each, safe='')}/{rest}").json()["instance_id"] for each in ids]

    assert found == ids


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
