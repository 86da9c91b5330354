"""The codec: compiled encoders and decoders on the fast way, `plain` and `conversion` where these do not reach."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from ..engine.errors import PayloadError
from ..engine.events import Payload
from . import named, plain
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
        name: Returns the name of the codec that payloads are stored by, None for as they are; asked like the limit.
    """

    def __init__(self, limit: Callable[[], int] | None = None, name: Callable[[], str | None] = lambda: None) -> None:
        self._limit = limit
        self._name = name

    @property
    def plain(self) -> JsonCodec:
        """The same without a name: it stores payloads as they are, and reads them all."""
        return JsonCodec(self._limit)

    def by(self, name: Callable[[], str | None]) -> JsonCodec:
        """Return the same with another name."""
        return JsonCodec(self._limit, name)

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
        self._check(len(raw), what)
        return self.seal(named.escaped(raw).decode(), what)

    def seal(self, payload: Payload, what: str = "The value") -> Payload:
        """Return a payload that a plain codec wrote as this one stores it.

        Raises: CodecError: its named codec is missing or failed. PayloadError: the result is over the limit.
        """
        name = self._name()
        if name is None:
            return payload
        sealed = named.seal(name, payload)
        self._check(len(sealed.encode()), what)
        return sealed

    def seal_like(self, other: Payload, payload: Payload) -> Payload:
        """Return a payload that a plain codec wrote as it is stored by the codec that wrote another one."""
        return self.by(lambda: named.name_of(other)).seal(payload) if other.startswith(named.BEGINNING) else payload

    def opened(self, payload: Payload) -> Payload:
        """Return the JSON text of a stored payload. Raises: CodecError: its codec is missing here, or failed."""
        return named.opened(payload)

    def same(self, one: Any, other: Any) -> bool:
        """Tell whether two payloads hold the same, whichever codecs wrote them; what is no text is compared as is."""
        return named.same(one, other)

    def check(self, payload: Any = None) -> None:
        """Raise CodecError where the codec of a payload, or this one's own, is missing or fails here."""
        if (name := self._name()) is not None and name != named.PLAIN:
            named.codec_of(name)
        if isinstance(payload, str):
            named.opened(payload)

    def _check(self, size: int, what: str) -> None:
        if self._limit is not None and size > (limit := self._limit()):
            raise PayloadError(
                f"{what} is {size:,} bytes encoded, the limit is {limit:,}. Store large data in a model or a "
                f"file and pass its key, or raise DJANGO_DURABLE['MAX_PAYLOAD_BYTES']."
            )

    def decode(self, payload: Payload, type: Any = Any, what: str = "The payload") -> Any:
        """Return the value of JSON text as `type`; the package says what comes back without one.

        Raises: PayloadError: not JSON, not a `type`, or a `type` that cannot be told from JSON.
        """
        return decoder(type)(named.opened(payload), what)

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
