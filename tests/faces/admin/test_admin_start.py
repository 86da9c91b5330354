"""The form that starts an instance, made of what the orchestration takes."""

from __future__ import annotations

import json

import pytest
from django.contrib.admin.models import ADDITION

from django_durable.admin.text import unwrapped

from .pages import START, logged, page, said, status, text

CHECKOUT = f"{START}?orchestration=shop.checkout"


def test_start_page_lists_orchestrations_with_their_versions(boss):
    said_ = text(boss.get(START))
    assert "shop.checkout 1.1.0 1.0.0 Sell <b>something</b>." in said_


def test_start_form_has_a_field_for_each_parameter(boss):
    form = boss.get(CHECKOUT).context["form"]
    kinds = {name: type(field).__name__ for name, field in form.fields.items() if name.startswith("input-")}
    assert kinds == {
        "input-order_id": "IntegerField",
        "input-kind": "TypedChoiceField",
        "input-day": "DateField",
        "input-express": "TypedChoiceField",
        "input-extras": "JsonField",
    }


def test_a_docstring_is_wrapped_by_the_page_and_keeps_its_lists():
    doc = "Tell a story,\nword by word.\n\nIt takes:\n\n* a city\n* a voice\n\n    as(it, is)\n    yes"
    assert (
        unwrapped(doc) == "Tell a story, word by word.\n\nIt takes:\n\n* a city\n* a voice\n\n    as(it, is)\n    yes"
    )


def test_start_form_starts_an_instance_with_what_was_given(shop, boss):
    given = {
        "instance_id": "order-1",
        "input-order_id": "7",
        "input-day": "2026-01-31",
        "input-kind": '"home"',
        "input-express": "true",
        "input-extras": '["ribbon"]',
    }
    response = boss.post(CHECKOUT, given, follow=True)
    assert response.redirect_chain[0][0] == page("order-1")
    assert said(response) == ["The instance was started."]
    assert logged() == [("order-1", ADDITION, "Started shop.checkout.")]
    shop.run()
    assert shop.client.get_output("order-1") == ["home", "2026-01-31", True, ["ribbon"]]
    again = boss.post(CHECKOUT, given, follow=True)
    assert said(again) == ["This instance was started before, with the same input."]
    assert len(logged()) == 1


def test_start_form_makes_an_id_where_none_is_given(shop, boss):
    from django_durable.models import Instance

    boss.post(CHECKOUT, {"input-order_id": "7"})
    assert len(Instance.objects.get().instance_id) == 32


def test_start_at_an_older_version_and_later(shop, boss):
    given = {"instance_id": "a", "input-order_id": "7", "start_at": "2099-01-01T00:00:00"}
    boss.post(f"{CHECKOUT}&version=1.0.0", given)
    from django_durable.models import Instance

    assert Instance.objects.get().version == "1.0.0"
    shop.run()
    assert status("a") == "Pending"


def test_start_form_refuses_what_does_not_fit_and_says_why(shop, boss):
    assert "This field is required." in text(boss.post(CHECKOUT, {}))
    wrong = boss.post(CHECKOUT, {"input-order_id": "7", "input-extras": '{"a": 1}'}).context["form"].errors
    assert list(wrong) == ["input-extras"]
    assert "Expected `array" in wrong["input-extras"][0]
    shop.client.start_orchestration("taken", "shop.waits")
    assert "already exists with another" in text(boss.post(CHECKOUT, {"input-order_id": "7", "instance_id": "taken"}))
    assert logged() == []


def test_orchestration_that_takes_an_object_is_started_with_json(shop, boss):
    boss.post(f"{START}?orchestration=shop.takes_anything", {"instance_id": "a", "input": '{"x": [1]}'})
    shop.run()
    assert shop.client.get_output("a") == {"x": [1]}


def test_unknown_orchestration_is_not_found(boss):
    assert boss.get(f"{START}?orchestration=nonsense").status_code == 404
    assert boss.get(f"{CHECKOUT}&version=9").status_code == 404


EVERYTHING = {
    "words": " as written ",
    "count": "-7",
    "ratio": "0.25",
    "price": "14.70",
    "flag": "false",
    "day": "2026-01-31",
    "at": "2026-01-31T12:30:00",
    "hour": "08:15:00",
    "length": "1 12:00:00",
    "colour": '"red"',
    "size": "2",
    "kind": '"shop"',
    "number": "1",
    "key": "6f1d3c1e-7a53-4e3f-9b39-0d5d7c3f1a10",
    "address": '{"street": "Main 1"}',
    "item": '{"sku": "a", "count": 3}',
    "tags": '["x", "y"]',
    "nothing": "",
}
TYPED = f"{START}?orchestration=shop.typed"


def test_each_type_has_a_field_of_its_own_and_its_value_arrives(shop, boss):
    fields = boss.get(TYPED).context["form"].fields
    kinds = {name.removeprefix("input-"): type(field).__name__ for name, field in fields.items()}
    assert {name: kinds[name] for name in EVERYTHING} == {
        "words": "CharField",
        "count": "IntegerField",
        "ratio": "FloatField",
        "price": "DecimalField",
        "flag": "TypedChoiceField",
        "day": "DateField",
        "at": "DateTimeField",
        "hour": "TimeField",
        "length": "DurationField",
        "colour": "TypedChoiceField",
        "size": "TypedChoiceField",
        "kind": "TypedChoiceField",
        "number": "TypedChoiceField",
        "key": "UUIDField",
        "address": "JsonField",
        "item": "JsonField",
        "tags": "JsonField",
        "nothing": "IntegerField",
    }
    given = {f"input-{name}": value for name, value in EVERYTHING.items()}
    response = boss.post(TYPED, {"instance_id": "a", **given})
    assert response.status_code == 302, response.context["form"].errors
    shop.run()
    assert shop.client.get_output("a") == [
        "' as written '",
        "-7",
        "0.25",
        "Decimal('14.70')",
        "False",
        "datetime.date(2026, 1, 31)",
        "2026-01-31T12:30:00+00:00",
        "datetime.time(8, 15)",
        "datetime.timedelta(days=1, seconds=43200)",
        "<Colour.RED: 'red'>",
        "<Size.LARGE: 2>",
        "'shop'",
        "1",
        "UUID('6f1d3c1e-7a53-4e3f-9b39-0d5d7c3f1a10')",
        "Address(street='Main 1', city='Bern')",
        "Item(sku='a', count=3)",
        "['x', 'y']",
        "None",
    ]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("count", "seven"),
        ("ratio", "NaN"),
        ("price", "cheap"),
        ("flag", "perhaps"),
        ("day", "2026-02-30"),
        ("at", "soon"),
        ("hour", "25:00"),
        ("length", "long"),
        ("colour", '"green"'),
        ("number", "3"),
        ("key", "1"),
        ("address", '{"city": "Bern"}'),
        ("item", '{"sku": "a", "count": 10}'),
        ("tags", "[1]"),
        ("tags", "[" * 100_000),
        ("tags", '["\\ud800"]'),
        ("words", "a\x00b"),
    ],
)
def test_what_does_not_fit_is_told_at_its_field(shop, boss, name, wrong):
    given = {f"input-{each}": value for each, value in (EVERYTHING | {name: wrong}).items()}
    response = boss.post(TYPED, {"instance_id": "a", **given})
    assert list(response.context["form"].errors) == [f"input-{name}"]
    assert shop.client.list_all_instances() == []


def test_what_is_asked_for_as_json_shows_its_schema_and_an_example(boss):
    fields = boss.get(TYPED).context["form"].fields
    address = fields["input-address"]
    assert json.loads(address.widget.attrs["placeholder"]) == {"street": "", "city": "Bern"}
    assert json.loads(address.schema_text)["required"] == ["street"]
    assert json.loads(fields["input-item"].widget.attrs["placeholder"]) == {"sku": "", "count": 0}
    whole = boss.get(f"{START}?orchestration=shop.ships").context["form"].fields["input"]
    assert json.loads(whole.widget.attrs["placeholder"]) == {"street": "", "city": "Bern"}
