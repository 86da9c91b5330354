from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from .support import STYLES, in_style


@pytest.fixture(params=STYLES)
def style(request: pytest.FixtureRequest) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Turns a story told as a generator into each of the two styles."""
    return partial(in_style, style=request.param)
