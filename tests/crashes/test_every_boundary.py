"""`kill -9` of a real worker process before and after each of its statements and commits, scenario by scenario.

`make crashes` kills at all boundaries (`DURABLE_CRASHES=all`); otherwise it is a sample of each scenario's.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict

import pytest

from django_durable.client import Client
from django_durable.testing import assert_survives_every_crash

from .plays import STORIES
from .stories import STYLES, registry

SAMPLE = None if os.environ.get("DURABLE_CRASHES") == "all" else 8


@pytest.mark.timeout(3600 if SAMPLE is None else 600)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", STORIES)
def test_a_worker_killed_at_any_boundary_loses_and_doubles_nothing(name, style, groups, record_property):
    story = STORIES[name]
    found = []

    def effects():
        output = json.loads(Client(registry).get_instance_info("it").output or "null")
        rows = sorted(groups.values_list("name", flat=True))
        found.append((output, rows))
        return rows

    report = assert_survives_every_crash(story.scenario(name, style), effects=effects, sample=SAMPLE, registry=registry)
    for figure, value in asdict(report).items():
        record_property(figure, value)
    assert report.kills == (SAMPLE or report.boundaries)
    assert found == [(story.output, list(story.effects))] * (report.kills + 1)
