"""The addresses of the REST API, from its OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator

from drf_spectacular.generators import SchemaGenerator

from . import markdown

PREFIX = "/durable/"
ANYWHERE = {"401", "403", "406", "411", "413", "415"}


def table() -> Iterator[str]:
    """Yield each operation with what it answers beyond what every one may."""
    document = SchemaGenerator(urlconf="tests.faces.api.urls").get_schema(request=None, public=True)
    rows = [
        (
            f"`{method.upper()} {path.removeprefix(PREFIX)}`",
            operation["summary"],
            ", ".join(status for status in sorted(operation["responses"]) if status not in ANYWHERE),
        )
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    yield from markdown.grid(("method and path", "does", "answers"), rows)
