"""The check of the texts that verbs take: names, keys, ids, tags."""

from __future__ import annotations

from .errors import InvalidArgument

UNTAGGED = "default"
"""Stands for activities without a tag wherever tags are given or shown."""


def checked_text(value: object, what: str, longest: int) -> str:
    """Return `value`, a text that every supported database can store: no NUL, and nothing that UTF-8 cannot encode.

    Raises: InvalidArgument: anything else, an empty text, or more than `longest` characters.
    """
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise InvalidArgument(f"The {what} is {value!r:.80}, expected a string of 1 to {longest} characters.")
    if "\x00" in value or not is_unicode(value):
        raise InvalidArgument(f"The {what} is {value!r:.80}, expected text without NUL or lone surrogates.")
    return value


def is_unicode(text: str) -> bool:
    """Tell whether UTF-8 can encode a text; a lone surrogate it cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
