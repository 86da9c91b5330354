"""The guide: a story of real data, told word by word, and once however often its teller dies."""

from __future__ import annotations

import pytest

from django_durable import StreamTrimmed
from example_project.shop import services
from example_project.shop.guide import distance_km, story_of
from example_project.shop.models import Poster
from example_project.shop.permissions import ShopPermissions


@pytest.fixture
def porto(poster):
    return Poster.objects.create(
        run=poster.run, geoname_id=2735943, city="Porto", country="PT", continent=poster.continent, latitude=41.14961,
        longitude=-8.61099, population=231800, price=24, stock=3, published=True,
    )  # fmt: skip


@pytest.fixture
def poster(poster):
    """As the database has it."""
    return Poster.objects.get(pk=poster.pk)


def told(client, instance_id):
    return "".join(item.value for item in client.read_stream(instance_id, "story", limit=1000).items).strip()


def test_the_story_is_made_of_what_the_shop_knows(poster, porto):
    story = story_of(poster)
    assert 270 < distance_km(poster, porto) < 280
    assert "Lisbon lies in Europe, at 38.7 degrees north and 9.1 degrees west." in story
    assert f"Its nearest neighbours here are Porto ({distance_km(poster, porto):,.0f} km)." in story
    assert "The map of Lisbon alone is 24.00 €; 10 are in stock, and 0 were ordered so far." in story


def test_a_city_that_is_alone_has_a_story_too(poster):
    assert "Of the 1 cities on our walls, 0 are larger," in story_of(poster)


def test_it_is_told_word_by_word_and_ends(durable, ended, poster, porto, customer):
    services.tell_about(customer, poster)
    durable.run()
    instance_id = services.guide_of(customer, poster)
    page = durable.client.read_stream(instance_id, "story", limit=1000)
    assert told(durable.client, instance_id) == story_of(poster)
    assert (len(page.items), page.ended) == (len(story_of(poster).split()), True)
    assert ended(instance_id).output == len(page.items)


def test_it_is_told_again_from_the_beginning_and_not_twice_at_once(durable, poster, customer):
    for _ in range(2):
        services.tell_about(customer, poster)
        services.tell_about(customer, poster)
        durable.run()
        assert told(durable.client, services.guide_of(customer, poster)) == story_of(poster)


def test_customers_read_their_own_story_and_nothing_else(durable, poster, customer, django_user_model):
    services.tell_about(customer, poster)
    instance = durable.client.get_status_record(services.guide_of(customer, poster))
    rules, other = ShopPermissions(), django_user_model.objects.create_user("other")
    assert rules.allows_reading(customer, instance, "story")
    assert not rules.allows_reading(customer, instance, "others")
    assert not rules.allows_reading(other, instance, "story")
    assert not rules.can_send_to_stream(customer, instance, "story")
    assert not rules.can_view_payload(customer, instance)


def test_the_page_shows_what_was_told_by_then_and_what_comes_after_it(durable, client, poster, customer):
    client.force_login(customer)
    address = f"/posters/{poster.pk}/guide/"
    assert b"Tell me about it" in client.get(address).content
    assert client.post(address)["Location"] == address
    assert b'data-durable-after="0"' in client.get(address).content
    durable.run()
    body = client.get(address).content.decode()
    count = len(story_of(poster).split())
    assert f'data-durable-after="{count + 1}" data-durable-ended' in body
    assert "data-durable-instance" not in body, "there is nothing to follow"
    assert story_of(poster) in body
    durable.client.trim_stream(services.guide_of(customer, poster), "story", keep=1)
    with pytest.raises(StreamTrimmed):
        durable.client.read_stream(services.guide_of(customer, poster), "story", after=0)
    assert client.get(address).status_code == 200
