"""Local steps in both styles, with a hot cache and with none, and replayed after they completed."""

from __future__ import annotations

from django_durable.store.records import TagFilter
from django_durable.testing import assert_replays

from .activities import LONG, RUNS
from .orchestrations import PAIRS
from .step_stories import steps_aio  # noqa: F401 - registers the stories
from .test_codecs import CODECS, stored_texts
from .test_verbs import completed

EXPECTED = [
    4,
    32,
    12,
    2,
    24,
    "in the end",
    ["LookupError", "no such order"],
    [{"ok": 2}, {"err": "Step 'local:tests.conformance.step_stories.refuse' failed: LookupError: no"}],
    {"index": 1, "value": 4},
]


def test_callables_of_every_kind_run_and_are_never_run_again(run, style):
    RUNS.clear()
    key = run.start(PAIRS["steps"][style], rate=3)
    run.drain()
    assert completed(run, key) == EXPECTED
    assert RUNS == {"price": 1, "tomorrow": 1, "double": 1, "once_broken": 2, "refuse_step": 2}


def test_a_step_that_is_given_up_leaves_nothing_to_do(conformance_run, style):
    run = conformance_run(tags=TagFilter.DEFAULT_ONLY)
    key = run.start(PAIRS["step_given_up"][style])
    run.drain()
    run.clock.advance(LONG)
    run.drain()
    assert completed(run, key) == [1, 3]
    assert run.leftovers(key) == {}


def test_what_a_step_is_given_and_returns_passes_the_codec_of_its_orchestration(registry, durable, settings):
    settings.DJANGO_DURABLE = {"CODECS": CODECS}

    @registry.orchestration("sealed", codec="turned")
    async def sealed(ctx, secret: str):
        given = await ctx.run(str.upper, secret)
        return await ctx.run(lambda: given.lower())

    durable.client.start_orchestration("it", "sealed", "Secret")
    durable.run()
    assert durable.client.get_output("it") == "secret"
    assert "secret" not in stored_texts().lower()
    assert_replays(registry.environment, durable.client.read_execution_history("it"))
