"""A story that comes word by word: over a reload of its page, a killed worker, and without JavaScript."""

from __future__ import annotations

import re

from django_durable.client import client
from example_project.shop import accounts, services
from example_project.shop.guide import story_of
from example_project.shop.models import Poster
from tests.acceptance.stage import until

TAKE_OVER = 90_000
"""Milliseconds in which another worker takes over: the lease of the dead one, and some."""


def poster_of(city: str) -> Poster:
    return Poster.objects.filter(city=city, published=True).first()


def begin(page, city: str) -> str:
    """Ask the guide, and return what it will say."""
    poster = poster_of(city)
    page.goto(f"/posters/{poster.pk}/guide/")
    story = story_of(poster)
    page.get_by_role("button", name="Tell me about it").click()
    return story


def words(page) -> list[str]:
    return page.get_by_role("log").inner_text().split()


def told(city: str) -> int:
    """Return how many words are stored."""
    page = client.read_stream(services.guide_of(accounts.demo_customer(), poster_of(city)), "story", limit=1000)
    return len(page.items)


def test_words_come_while_the_page_is_open_and_after_it_was_loaded_again(customer, camera, expect):
    story = begin(customer, "Istanbul")
    expect(customer.get_by_role("log")).to_contain_text("people live there", timeout=30_000)
    camera.shoot(customer, "guide", height=560)
    before = words(customer)
    assert before == story.split()[: len(before)]
    assert len(before) < len(story.split()), "it is still being told"
    customer.reload()
    assert words(customer)[: len(before)] == before, "a page that is loaded again has what there was"
    expect(customer.get_by_text("That is all.")).to_be_visible(timeout=60_000)
    assert words(customer) == story.split()
    expect(customer.get_by_role("log")).to_have_attribute("aria-busy", "false")
    expect(customer.get_by_role("log")).to_have_attribute("data-durable-ended", "")


def test_no_word_is_lost_or_doubled_where_the_worker_is_killed_in_the_middle(customer, site, tmp_path, expect):
    story = begin(customer, "Karachi")
    expect(customer.get_by_role("log")).to_contain_text("lies in", timeout=30_000)
    site.worker.kill()
    at_death = told("Karachi")
    assert 0 < at_death < len(story.split()), "it was killed in the middle"
    until(lambda: len(words(customer)) == at_death, "what was told before")
    site.worker = site.new_worker("second", tmp_path / "second.log")
    expect(customer.get_by_text("That is all.")).to_be_visible(timeout=TAKE_OVER)
    assert words(customer) == story.split()
    customer.reload()
    assert words(customer) == story.split()
    assert "second" in site.worker.log, "it was the second one"


def test_without_javascript_the_page_has_what_there_is(visitors, expect):
    with visitors.page("customer", java_script_enabled=False) as page:
        story = begin(page, "Moscow")
        expect(page.get_by_text("That is all.")).to_be_visible(timeout=60_000)
        assert words(page) == story.split()


def test_a_narrow_screen_shows_all_of_it(visitors, camera, expect):
    with visitors.page("customer", has_touch=True) as page:
        page.set_viewport_size({"width": 390, "height": 844})
        begin(page, "Dhaka")
        expect(page.get_by_text("That is all.")).to_be_visible(timeout=60_000)
        assert page.evaluate("document.documentElement.scrollWidth <= 390")
        camera.shoot(page, "guide-narrow", width=390, height=844)


def test_the_page_obeys_a_strict_policy(customer):
    answer = customer.goto(f"/posters/{poster_of('Istanbul').pk}/guide/")
    assert re.search(r"default-src 'self'", answer.headers["content-security-policy"])
    assert "unsafe" not in answer.headers["content-security-policy"]
