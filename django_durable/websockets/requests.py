"""What clients send: one JSON object per text frame. Strict: an unknown name or a wrong type is told, never ignored.

{"type": "subscribe", "instance_id": "order-7", "since": "17.5.0.0", "after": "1.31", "history": true, "kv": true,
 "streams": {"words": 41, "notes": null}}
{"type": "unsubscribe", "instance_id": "order-7"}
{"type": "ping"}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from ..conf import settings
from ..engine.arguments import checked_text
from ..engine.errors import InvalidArgument, LimitExceeded
from ..live import Wish, place_from_text, position_from_text, streams_from_value
from ..models import INSTANCE_ID_LENGTH


@dataclass(frozen=True, slots=True)
class Subscribe:
    wish: Wish


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    instance_id: str


@dataclass(frozen=True, slots=True)
class Ping: ...


Request = Subscribe | Unsubscribe | Ping
_NAMES = {
    "subscribe": {"type", "instance_id", "since", "after", "history", "kv", "streams"},
    "unsubscribe": {"type", "instance_id"},
    "ping": {"type"},
}


class Malformed(Exception):
    """A frame that means nothing; `code` is that of the message which says so."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def request_from_frame(text: str | None) -> Request:
    """Read a frame; None is one that was not text. Raises: Malformed."""
    if text is None:
        raise Malformed("bad_message", "The message is binary, expected JSON text.")
    if (size := len(text.encode(errors="replace"))) > (limit := settings.LIVE_MAX_MESSAGE_BYTES):
        raise Malformed("too_large", f"The message has {size:,} bytes, {limit:,} is the most.")
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed("bad_message", f"The message is {text!r:.80}, expected JSON.") from None
    if not isinstance(given, dict):
        raise Malformed("bad_message", f"The message is {text!r:.80}, expected a JSON object.")
    kind = given.get("type")
    if not isinstance(kind, str) or kind not in _NAMES:
        raise Malformed("bad_message", f"type is {kind!r:.80}, expected one of {', '.join(map(repr, _NAMES))}.")
    try:
        return _request(kind, given)
    except (InvalidArgument, LimitExceeded) as error:
        raise Malformed("bad_message", str(error)) from None


def _request(kind: str, given: Mapping[str, Any]) -> Request:
    if unknown := sorted(given.keys() - _NAMES[kind]):
        raise InvalidArgument(f"{kind} has {unknown[0]!r:.80}, expected nothing but {', '.join(sorted(_NAMES[kind]))}.")
    if kind == "ping":
        return Ping()
    instance_id = checked_text(given.get("instance_id"), "instance_id", INSTANCE_ID_LENGTH)
    return Unsubscribe(instance_id) if kind == "unsubscribe" else Subscribe(_wish(instance_id, given))


def wish_of_address(instance_id: str, query: bytes) -> Wish:
    """Read what the address of one instance asks for: `history=1`, `kv=1` and `streams={"words":41}` where it wants
    them. Raises: Malformed.
    """
    # As in the addresses of the API: an id without slashes was encoded twice, or has nothing to encode.
    instance_id = instance_id if "/" in instance_id else unquote(instance_id)
    given: dict[str, Any] = dict(parse_qsl(query.decode("ascii", errors="replace"), keep_blank_values=True))
    for name in ("history", "kv"):
        if name in given:
            given[name] = {"1": True, "true": True, "0": False, "false": False}.get(given[name], given[name])
    if "streams" in given:
        with suppress(ValueError, RecursionError):  # What is no JSON is refused as the text that it is.
            given["streams"] = json.loads(given["streams"])
    try:
        request = _request("subscribe", {**given, "instance_id": instance_id, "type": "subscribe"})
    except (InvalidArgument, LimitExceeded) as error:
        raise Malformed("bad_message", str(error)) from None
    assert isinstance(request, Subscribe)
    return request.wish


def _wish(instance_id: str, given: Mapping[str, Any]) -> Wish:
    since, after = given.get("since"), given.get("after")
    return Wish(
        instance_id=instance_id,
        since=None if since is None else position_from_text(since),
        after=None if after is None else place_from_text(after),
        history=_flag(given, "history"),
        kv=_flag(given, "kv"),
        streams=streams_from_value(given.get("streams", {})),
    )


def _flag(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise InvalidArgument(f"{name} is {value!r:.80}, expected true or false.")
    return value
