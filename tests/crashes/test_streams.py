"""As `test_every_boundary`, for streams, signals, promises and generators: what was sent is there once, in order."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from django_durable.client import Client
from django_durable.models import Promise
from django_durable.testing import assert_survives_every_crash

from .stories import STYLES, registry
from .stream_stories import SENT, STREAM_STORIES
from .test_every_boundary import SAMPLE

SETTLED = {"promises": ["Completed", "Completed"]}


@pytest.mark.timeout(3600 if SAMPLE is None else 600)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", STREAM_STORIES)
def test_a_worker_killed_at_any_boundary_loses_and_doubles_no_item(name, style, durable_db, record_property):
    story, client = STREAM_STORIES[name], Client(registry)
    found = []

    def effects():
        output = json.loads(client.get_instance_info("it").output or "null")
        streams = [each.name for each in client.list_streams("it")]
        sent = {each: [item.value for item in client.read_stream("it", each).items] for each in streams}
        found.append((output, sent, list(Promise.objects.values_list("outcome", flat=True))))
        return sent

    report = assert_survives_every_crash(story.scenario(name, style), effects=effects, sample=SAMPLE, registry=registry)
    for figure, value in asdict(report).items():
        record_property(figure, value)
    assert report.kills == (SAMPLE or report.boundaries)
    assert found == [(story.output, SENT[name], SETTLED.get(name, []))] * (report.kills + 1)
