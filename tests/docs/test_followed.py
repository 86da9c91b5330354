"""The pages that a reader follows, followed: real commands, real processes, real output."""

from __future__ import annotations

import pytest

from .blocks import blocks_of, page_id
from .followed import APPROVAL, FOLLOWED, IN_A_PROJECT
from .project import Project

pytestmark = pytest.mark.only_on("sqlite")  # What `startproject` makes; the run's own database is not used.


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path)
    yield made
    made.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", [page for page in FOLLOWED if page != APPROVAL], ids=page_id)
def test_following_a_page_leads_where_it_says(page, project):
    if page in IN_A_PROJECT:
        project.prepare()
    for block in blocks_of(page):
        try:
            project.follow(block)
        except Exception as error:
            running = "\n".join(f"$ {each.command.line}\n{each}" for each in project.terminals)
            error.add_note(f"In the block at {block.place}. What runs beside it wrote:\n{running}")
            raise
