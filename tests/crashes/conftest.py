"""Fixtures of the crash tests. They commit, and their worker processes see what they commit."""

from __future__ import annotations

import pytest

FIGURES = ("boundaries", "kills", "seconds")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much was tried: the figures of the documentation."""
    passed = [dict(report.user_properties) for report in terminalreporter.stats.get("passed", ())]
    found = [each for each in passed if "kills" in each]
    if found:
        totals = ", ".join(f"{sum(each.get(name, 0) for each in found):,.0f} {name}" for name in FIGURES)
        terminalreporter.write_line(f"crashes: {totals}, none lost or doubled")


@pytest.fixture
def groups(durable_db):
    """The table that stands for business rows; nothing keeps a second row out, so that a doubled write is seen."""
    from django.contrib.auth.models import Group

    return Group.objects
