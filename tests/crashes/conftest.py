"""Fixtures of the crash tests. They commit, and their worker processes see what they commit."""

from __future__ import annotations

import pytest


@pytest.fixture
def groups(durable_db):
    """The table that stands for business rows; nothing keeps a second row out, so that a doubled write is seen."""
    from django.contrib.auth.models import Group

    return Group.objects
