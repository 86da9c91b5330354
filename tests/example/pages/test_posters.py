"""The storefront: for everybody, and drawn from what is on sale."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from example_project.shop.models import Poster


def test_an_empty_shop_says_so_and_tells_staff_what_to_do(anonymous, clerk, shown):
    assert "Nothing is on sale yet. Somebody of the staff has to import the catalogue." in shown(anonymous, "/")
    assert "Import the catalogue" in shown(clerk, "/")


def test_everybody_sees_what_is_on_sale_and_customers_may_order(anonymous, shopper, shown, poster):
    assert "Lisbon Europe, PT 24.00 € Log in to order" in shown(anonymous, "/")
    assert "Lisbon Europe, PT 24.00 € Order" in shown(shopper, "/")


def test_drafts_and_their_drawings_are_not_shown(anonymous, shown, poster):
    Poster.objects.update(published=False)
    assert "Lisbon" not in shown(anonymous, "/")
    shown(anonymous, reverse("shop:poster_image", args=[poster.pk]), status=404)


def test_what_is_sold_out_cannot_be_ordered(shopper, shown, poster):
    Poster.objects.update(stock=0)
    assert "Lisbon Europe, PT 24.00 € Sold out" in shown(shopper, "/")


@pytest.mark.parametrize(
    ("query", "expected"), [("lisb", "Europe, PT"), ("Atlantis", "No city on sale is called “Atlantis”.")]
)
def test_cities_are_found_by_a_part_of_their_name(anonymous, shown, poster, query, expected):
    assert expected in shown(anonymous, f"/?q={query}")


@pytest.mark.parametrize("query", ["q=%00", "q=" + "x" * 200, "page=x", "page=999999", "page=-1"])
def test_a_search_that_makes_no_sense_shows_the_shop(anonymous, shown, poster, query):
    assert "Lisbon" in shown(anonymous, f"/?{query}")


def test_a_drawing_has_the_city_and_its_neighbors_in_it(anonymous, poster):
    neighbor = {"city": "<b>", "latitude": 40, "longitude": -8, "population": 50_000, "published": True}
    Poster.objects.create(run=poster.run, geoname_id=1, country="PT", continent="EU", price=24, **neighbor)
    response = anonymous.get(reverse("shop:poster_image", args=[poster.pk]))
    assert response["Content-Type"] == "image/svg+xml"
    drawing = response.content.decode()
    assert "LISBON" in drawing
    assert "38.717° N" in drawing
    assert drawing.count("<circle") == 3, "the neighbor, the city, its ring"


def test_markup_in_a_name_is_drawn_as_text(anonymous, poster):
    Poster.objects.update(city="<b>")
    assert "&lt;B&gt;" in anonymous.get(reverse("shop:poster_image", args=[poster.pk])).content.decode()


def test_the_demo_accounts_log_in_and_out(anonymous, shown, customer):
    response = anonymous.post(reverse("login"), {"username": "customer", "password": "demo"}, follow=True)
    assert response.context["user"] == customer
    anonymous.post(reverse("logout"))
    assert "Log in" in shown(anonymous, "/")


@pytest.mark.parametrize("address", ["/", "/orders/", "/imports/", "/support/", "/accounts/login/", "/admin/"])
def test_no_page_has_inline_style_or_script_or_lacks_the_policy(clerk, poster, address):
    response = clerk.get(address, follow=True)
    assert "'self'" in response["Content-Security-Policy"]
    assert "unsafe" not in response["Content-Security-Policy"]
    assert not re.search(r"<script>|<style| style=| on\w+=", response.content.decode())
