"""Decoders by type hint: compiled where the hint can be, composed of converters where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ..engine.errors import PayloadError
from ..engine.events import Payload
from .composed import Composer, unusable
from .hints import describe, is_anything
from .revival import revive

Decode = Callable[[Payload | msgspec.Raw, str], Any]
"""`(payload, what) -> value`; `what` starts the sentence of a PayloadError."""


def compile_decoder(hint: Any) -> Decode:
    """Return a decoder for a type hint.

    Raises: PayloadError: the hint cannot be told from JSON; the message says which part and why.
    """
    wanted = Any if is_anything(hint) else hint
    compiled: Callable[[Any], Any]
    try:
        compiled = msgspec.json.Decoder(wanted, dec_hook=revive).decode
    except TypeError:
        compiled = _two_steps(Composer().converter(wanted))
    except (NameError, AttributeError) as error:
        raise unusable(hint, f"{error}; a name in it cannot be resolved. Import it at run time") from error
    name = describe(hint)

    def decode(payload: Payload | msgspec.Raw, what: str) -> Any:
        try:
            return compiled(payload)
        except msgspec.ValidationError as error:
            raise PayloadError(f"{what} is not a valid {name}: {error}. Pass what the type hint says.") from error
        except (msgspec.DecodeError, UnicodeError) as error:
            raise PayloadError(f"{what} is not JSON: {error}.") from error
        except RecursionError:
            raise PayloadError(f"{what} is nested too deeply to be decoded. Flatten it.") from None

    return decode


def _two_steps(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    parse = msgspec.json.Decoder().decode
    return lambda payload: convert(parse(payload))
