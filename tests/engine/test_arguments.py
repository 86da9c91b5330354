from __future__ import annotations

import pytest

from django_durable.engine.arguments import checked_text
from django_durable.engine.errors import InvalidArgument


@pytest.mark.parametrize("text", ["a", "x" * 255, "ключ 🔑", " "])
def test_text_is_returned_as_it_is(text: str) -> None:
    assert checked_text(text, "KV key", 255) is text


@pytest.mark.parametrize("value", ["", "x" * 256, None, 7, b"key"])
def test_no_text_an_empty_one_and_a_long_one_are_refused(value: object) -> None:
    with pytest.raises(InvalidArgument, match="The KV key is .*, expected a string of 1 to 255 characters"):
        checked_text(value, "KV key", 255)


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_text_that_no_database_can_store_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="expected text without NUL or lone surrogates"):
        checked_text(text, "KV key", 255)
