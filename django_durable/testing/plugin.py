"""The pytest plugin: the `durable` fixture. Importable without Django being set up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .harness import Durable


@pytest.fixture
def durable(db: None) -> Iterator[Durable]:
    """Runs instances of the default registry inside the test: `durable.run()`, `durable.advance(days=2)`."""
    from .harness import Durable

    harness = Durable()
    yield harness
    harness.close()
