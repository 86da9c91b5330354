"""The data file: what its README says of it is true, and every row is read once."""

from __future__ import annotations

import hashlib
from itertools import chain

import pytest
from django.core.exceptions import ValidationError

from example_project.shop import catalogue
from example_project.shop.activities import poster_from
from example_project.shop.models import Continent, ImportRun, Poster

ROWS = 4028


def test_the_file_is_the_one_its_readme_describes() -> None:
    digest = hashlib.sha256((catalogue.DIRECTORY / catalogue.CITIES).read_bytes()).hexdigest()
    assert digest in (catalogue.DIRECTORY / "README.md").read_text()
    cities = list(catalogue.rows(catalogue.CITIES))
    assert len(cities) == ROWS
    assert {city["continent"] for city in cities} == set(Continent.values)
    assert min(int(city["population"]) for city in cities) >= 150_000


def test_chunks_cover_the_file_without_overlap() -> None:
    chunks = [catalogue.rows(catalogue.CITIES, first, 100) for first in range(0, ROWS, 100)]
    assert list(chain(*chunks)) == list(catalogue.rows(catalogue.CITIES))


def test_a_row_becomes_a_poster_priced_by_population() -> None:
    tokyo = next(row for row in catalogue.rows(catalogue.CITIES) if row["city"] == "Tokyo")
    poster = poster_from(tokyo, ImportRun())
    assert (str(poster), poster.price, poster.published) == ("Tokyo, JP", Poster.price_for(10_000_000), False)


def test_a_name_that_does_not_fit_the_label_is_refused() -> None:
    row = next(row for row in catalogue.rows(catalogue.CITIES) if len(row["city"]) > 30)
    with pytest.raises(ValidationError, match="at most 30 characters"):
        poster_from(row, ImportRun())
