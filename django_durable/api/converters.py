"""Instance ids, KV keys and queue names in addresses: any text, slashes included.

Servers decode an address once before it is routed, so `%2F` is a slash by then. `reverse()` therefore encodes `/` and
`%` a second time, and what it makes is never read as another address. An id encoded only once is understood as well,
unless it has a percent sign, or ends in what looks like the rest of another address (`a/status`).
"""

from __future__ import annotations

from urllib.parse import unquote


class TextConverter:
    """One segment of an address, as `reverse()` writes it."""

    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        return unquote(value)

    def to_url(self, value: str) -> str:
        text = str(value).replace("%", "%25").replace("/", "%2F")
        # A segment of dots alone is a step up for every client on the way.
        return text if text.strip(".") else text.replace(".", "%2E")


class SlashedTextConverter(TextConverter):
    """The same, where slashes were encoded only once and stand for themselves."""

    regex = ".+"
