"""JSON bodies: bounded, and nothing in them can make the server fail."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

from ..conf import settings

SLACK = 65_536
"""Bytes that a body may have beyond the largest payload: names, whitespace, escapes."""


class BodyTooLarge(APIException):
    """The body has more bytes than the largest payload and some slack."""

    status_code = 413
    default_code = "body_too_large"


class LengthRequired(APIException):
    """The framework reads no further than the length that is declared."""

    status_code = 411
    default_code = "length_required"


class BoundedJSONParser(BaseParser):
    """Parses UTF-8 JSON of at most `MAX_PAYLOAD_BYTES` and some slack."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        limit = settings.MAX_PAYLOAD_BYTES + SLACK
        # What is declared is judged before it is read; what is not declared, by reading one byte too many.
        declared = str(stream.META.get("CONTENT_LENGTH") or "") if hasattr(stream, "META") else ""
        if declared.isdecimal() and int(declared) > limit:
            raise _too_large(limit)
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise _too_large(limit)
        try:
            return json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse, object_pairs_hook=_members)
        except RecursionError:
            raise ParseError("The body is nested too deeply.") from None
        except ValueError as error:
            raise ParseError(f"The body is not JSON in UTF-8: {error}.") from None


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body has more than {limit:,} bytes. Store large data elsewhere and send its key.")


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON value")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object. One of two members of the same name would be lost, and which of them is anybody's guess."""
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"an object has {twice!r:.80} twice")
    return made
