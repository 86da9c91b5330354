"""Every code block of the documentation runs, or is read by what reads its language.

Pages that a reader follows from an empty folder are in `test_followed.py`.
"""

from __future__ import annotations

import pytest

from .blocks import PAGES, blocks_of, page_id
from .followed import FOLLOWED


@pytest.mark.parametrize("page", [page for page in PAGES if page not in FOLLOWED], ids=page_id)
def test_the_code_of_a_page_does_what_the_page_says(page, request):
    blocks = blocks_of(page)
    if not blocks:
        return  # Not skipped: a page without code is fine.
    reading = request.getfixturevalue("reading")
    for block in blocks:
        try:
            reading.read(block)
        except Exception as error:
            error.add_note(f"In the block at {block.place}.")
            raise
