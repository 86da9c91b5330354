"""The codec: compiled encoders and decoders on the fast way, `plain` and `conversion` where these do not reach."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from ..engine.errors import PayloadError
from ..engine.events import Payload
from . import plain
from .conversion import Decode, compile_decoder
from .schemas import schema

_encode: Callable[[Any], bytes] = msgspec.json.Encoder(order="sorted", enc_hook=plain.simplify).encode
_probe: Callable[[Any], bytes] = msgspec.msgpack.Encoder(enc_hook=plain.simplify).encode
# A float whose exponent is all ones, as MessagePack writes it. In UTF-8 text these bytes cannot follow each other.
_NOT_FINITE = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]")

_decoders: dict[Any, Decode] = {}
"""Compiled decoders by type."""


class JsonCodec:
    """Encodes and decodes payloads.

    Args:
        limit: Returns the most bytes a payload may have; asked at every encode, so that a changed setting holds at
            once. Without it there is no limit.
    """

    def __init__(self, limit: Callable[[], int] | None = None) -> None:
        self._limit = limit

    def encode(self, value: Any, what: str = "The value") -> Payload:
        """Return a value as JSON text. `what` starts the sentence of an error, for example "The result of 'charge'".

        Raises: PayloadError: the value cannot be a payload, or is over the limit; the message says where and what to
            pass instead.
        """
        try:
            raw = _encode(value)
            # A null may be a NaN that the encoder replaced.
            if b"null" in raw and value is not None and _NOT_FINITE.search(_probe(value)):
                raw = _encode(plain.plain(value, what))
            if b"[[" in raw and plain.holds_set_of_sets(value):
                raw = _encode(plain.plain(value, what))
        except RecursionError:
            raise PayloadError(plain.TOO_DEEP.format(what=what)) from None
        except (TypeError, ValueError, OverflowError):
            # Keys that are not text, sets of mixed types, refused values: the slow way handles them, or says where.
            raw = _encode(plain.plain(value, what))
        if self._limit is not None and len(raw) > (limit := self._limit()):
            raise PayloadError(
                f"{what} is {len(raw):,} bytes encoded, the limit is {limit:,}. Store large data in a model or a "
                f"file and pass its key, or raise DJANGO_DURABLE['MAX_PAYLOAD_BYTES']."
            )
        return raw.decode()

    def decode(self, payload: Payload, type: Any = Any, what: str = "The payload") -> Any:
        """Return the value of JSON text as `type`; the package says what comes back without one.

        Raises: PayloadError: not JSON, not a `type`, or a `type` that cannot be told from JSON.
        """
        return decoder(type)(payload, what)

    def schema(self, type: Any) -> dict[str, Any]:
        """Return the JSON Schema of a type, with `$defs`; an empty one, which allows everything, where it has none."""
        return schema(type)


def decoder(type: Any) -> Decode:
    """Return the function `(payload, what) -> value` for a type; compiled once.

    Raises: PayloadError: the type cannot be told from JSON; the message says which part and why.
    """
    try:
        return _decoders[type]
    except KeyError:
        found = _decoders[type] = compile_decoder(type)
        return found
    except TypeError:  # Not hashable, for example Annotated[int, {}].
        return compile_decoder(type)
