"""Codecs by name: what stands between the JSON text of a value and what is stored of it.

A payload that a named codec wrote is an envelope, JSON text itself: `{"$codec":"sealed","data":...}`. It says which
codec reads it, so payloads stay readable after the project took another one, and everything that only carries payloads
need not know of codecs. Plain JSON has no envelope; the rare value that looks like one gets the envelope of the name
`json`, around the value itself.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from ..conf import NAME, settings
from ..engine.errors import CodecError, PayloadError
from ..engine.events import Payload

PLAIN = "json"
"""The name of the codec that stores a payload as it is."""

BEGINNING = '{"$codec":"'
_BEGINNING = BEGINNING.encode()


class PayloadCodec(Protocol):
    """What `DJANGO_DURABLE["CODECS"]` names: a class without arguments, or an object. Called from several threads.

    What an exception says that they raise stands in the log and in the reason of a blocked instance.
    """

    def encode(self, text: str) -> Any:
        """Return what is stored of a payload (JSON text): any JSON value. It may differ from call to call."""

    def decode(self, data: Any) -> str:
        """Return the payload of what `encode` made, as the same text."""


class _Envelope(msgspec.Struct):
    codec: str = msgspec.field(name="$codec")
    data: msgspec.Raw


_made: dict[str, PayloadCodec] = {}


def escaped(raw: bytes) -> bytes:
    """Return JSON text so that nothing takes it for an envelope."""
    return b'{"$codec":"%s","data":%s}' % (PLAIN.encode(), raw) if raw.startswith(_BEGINNING) else raw


def seal(name: str, payload: Payload) -> Payload:
    """Return a payload as the codec of this name stores it. Raises: CodecError: there is none, or it failed."""
    if name == PLAIN:
        return payload
    codec = codec_of(name)
    try:
        data = codec.encode(payload)
        return msgspec.json.encode({"$codec": name, "data": data}).decode()
    except Exception as error:
        raise CodecError(f"The codec {name!r} could not write a payload. {type(error).__name__}: {error}") from error


def opened(payload: Payload) -> Payload:
    """Return the JSON text of a payload, whichever codec wrote it.

    Raises: CodecError: its codec is not configured here, or refuses it.
    """
    while payload.startswith(BEGINNING):
        try:
            envelope = msgspec.json.decode(payload, type=_Envelope)
        except msgspec.MsgspecError as error:
            raise PayloadError(f"A payload begins as the envelope of a codec and is none: {error}.") from error
        if envelope.codec == PLAIN:
            return bytes(envelope.data).decode()
        payload = _decoded(envelope)
    return payload


def _decoded(envelope: _Envelope) -> Payload:
    codec = codec_of(envelope.codec)
    try:
        return codec.decode(msgspec.json.decode(envelope.data))
    except Exception as error:
        raise CodecError(
            f"The codec {envelope.codec!r} could not read a payload; the usual cause is another key than it was "
            f"written with. {type(error).__name__}: {error}"
        ) from error


def same(one: Any, other: Any) -> bool:
    """Tell whether two payloads hold the same, whichever codecs wrote them; what is no text is compared as it is."""
    if one == other or not (isinstance(one, str) and isinstance(other, str)):
        return bool(one == other)
    sealed = one.startswith(BEGINNING) or other.startswith(BEGINNING)
    return sealed and opened(one) == opened(other)


def name_of(payload: Payload) -> str:
    """Return the name of the codec that wrote a payload."""
    return msgspec.json.decode(payload, type=_Envelope).codec if payload.startswith(BEGINNING) else PLAIN


def codec_of(name: str) -> PayloadCodec:
    """Return a configured codec, made at its first use. Raises: CodecError: there is none of this name."""
    if (found := _made.get(name)) is None:
        path = settings.CODECS.get(name)
        if path is None:
            known = ", ".join(repr(each) for each in (PLAIN, *settings.CODECS))
            raise CodecError(
                f"There is no codec {name!r} here, only {known}. Name its class in {NAME}['CODECS'], and keep it there "
                f"as long as there are payloads that it wrote."
            )
        found = _made[name] = make(path)
    return found


def make(path: str) -> PayloadCodec:
    """Return the codec at a path: the object there, or one of the class there. Raises: ImportError."""
    found = import_string(path)
    made: PayloadCodec = found() if isinstance(found, type) else found
    return made


def _forget(*, setting: str, **_: Any) -> None:
    if setting == NAME:
        _made.clear()


setting_changed.connect(_forget, dispatch_uid="django_durable.codec.named")
