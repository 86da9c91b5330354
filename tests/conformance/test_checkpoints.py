"""Instances with checkpoints: what their turns cost, what parks them, and what operators do with them.

That every verb works in them is in `test_verbs.py`.
"""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from django_durable import models
from django_durable.client.viewing import client as shown_client
from django_durable.durable import Migration
from django_durable.engine import transcript
from django_durable.engine.states import RuntimeStatus
from django_durable.registry import Registry
from django_durable.testing import Durable

from .measures import kinds, statements


async def waits(ctx, first: str = "first"):
    begun = [first]
    ctx.set_custom_status(await ctx.run("echo", first))
    begun.append(await ctx.wait_for_event("go"))
    return begun


AS_IT_WAS = waits


async def waits(ctx, first: str = "first"):
    begun = [first, "and more"]
    ctx.set_custom_status(await ctx.run("echo", first))
    begun.append(await ctx.wait_for_event("go"))
    return begun


CHANGED = waits


async def holds_what_cannot_be_stored(ctx):
    lines = (line for line in ("a", "b"))
    await ctx.run("echo", 1)
    return list(lines)


async def counts(ctx, rounds: int):
    total = 0
    for number in range(rounds):
        total += await ctx.run("echo", number)
    return total


async def compensates(ctx):
    try:
        await ctx.wait_for_event("never")
    except asyncio.CancelledError:
        await ctx.run("echo", "undone")
        raise


def registered(story, mode="checkpoint") -> Registry:
    registry = Registry()
    registry.orchestration("story", mode=mode)(story)

    @registry.activity("echo")
    def echo(value=None):
        return value

    return registry


@pytest.fixture
def start(db):
    """Start a story as instance `one` and run it until it waits; by default every turn loads its checkpoint."""
    made = []

    def start(story, *args, hot_executions=0) -> Durable:
        durable = Durable(registered(story), hot_executions=hot_executions)
        made.append(durable)
        durable.client.start_definition(durable.registry.get_orchestration("story"), args, {}, instance_id="one")
        durable.run()
        return durable

    yield start
    for each in made:
        each.close()


def deployed(durable: Durable, story) -> Durable:
    """Return a worker of a deployment with other code, at the same time by its clock."""
    other = Durable(registered(story), hot_executions=0)
    other.clock.advance_to(durable.clock.now())
    return other


def execution() -> models.Execution:
    return models.Execution.objects.get(instance__instance_id="one", number=1)


# What it costs.


@pytest.mark.parametrize("mode", ["replay", "checkpoint"])
def test_a_step_costs_one_statement_more_and_no_commit_more(db, mode):
    durable = Durable(registered(counts, mode))
    durable.client.start_orchestration("one", "story", 30)
    with statements() as found:
        durable.run()
    written = [each for each in found if "checkpoint_seq = given.seq" in each]
    assert len(written) == (30 if mode == "checkpoint" else 0)
    assert durable.client.get_status("one").output == sum(range(30))
    durable.close()


def test_a_checkpoint_does_not_grow_with_the_steps_behind_it(start):
    durable = start(AS_IT_WAS)
    small = len(execution().checkpoint)
    assert small < 4000
    durable.client.raise_event("one", "go", 1)
    durable.run()
    assert execution().checkpoint is None, "it has ended"


def test_an_execution_that_waits_is_rebuilt_from_its_checkpoint_alone(start):
    durable = start(AS_IT_WAS)
    assert execution().checkpoint_seq == len(kinds(durable, "one"))
    # Without the events behind it, nothing is left to replay.
    models.HistoryEvent.objects.filter(seq__lt=3).update(kind="Nonsense")
    durable.client.raise_event("one", "go", "on")
    durable.run()
    assert durable.client.get_status("one").output == ["first", "on"]


# What parks it.


def test_changed_code_parks_the_instance_until_the_code_is_back(start):
    durable = start(AS_IT_WAS)
    changed = deployed(durable, CHANGED)
    changed.client.raise_event("one", "go", "on")
    changed.run()
    status = changed.client.get_status("one")
    assert status.runtime_status is RuntimeStatus.BLOCKED
    assert status.blocked_reason.error_type.endswith("CodeChanged")
    assert "waits" in status.blocked_reason.message
    durable.client.resume_instance("one")
    durable.run()
    assert durable.client.get_status("one").output == ["first", "on"]
    changed.close()


def test_changed_code_with_a_migration_takes_the_instance_over(start):
    durable = start(AS_IT_WAS)
    recorded = durable.registry.get_orchestration("story").compiled.hash
    changed = deployed(durable, CHANGED)
    story = changed.registry.get_orchestration("story")
    story.compiled.accepts(Migration(recorded=recorded, points={2: 2}))
    changed.client.raise_event("one", "go", "on")
    changed.run()
    assert changed.client.get_status("one").output == ["first", "on"]
    changed.close()


def test_a_mode_that_was_changed_parks_the_instance(start):
    durable = start(AS_IT_WAS)
    registry = Registry()
    registry.orchestration("story")(AS_IT_WAS)
    replaying = Durable(registry)
    replaying.clock.advance_to(durable.clock.now())
    replaying.client.raise_event("one", "go", "on")
    replaying.run()
    assert replaying.client.get_status("one").runtime_status is RuntimeStatus.BLOCKED
    durable.client.resume_instance("one")
    durable.run()
    assert durable.client.get_status("one").output == ["first", "on"]
    replaying.close()


def test_what_cannot_be_stored_parks_the_instance_with_its_name(start):
    durable = start(holds_what_cannot_be_stored)
    status = durable.client.get_status("one")
    assert status.runtime_status is RuntimeStatus.BLOCKED
    assert status.blocked_reason.error_type.endswith("Unstorable")
    assert "lines" in status.blocked_reason.message
    assert kinds(durable, "one") == [], "nothing of the turn was committed"


def test_a_checkpoint_over_the_setting_parks_the_instance(start, settings):
    settings.DJANGO_DURABLE = {"MAX_CHECKPOINT_BYTES": 1024}
    durable = start(AS_IT_WAS, "x" * 2000)
    reason = durable.client.get_status("one").blocked_reason
    assert "MAX_CHECKPOINT_BYTES" in reason.message
    settings.DJANGO_DURABLE = {}
    durable.client.resume_instance("one")
    durable.run()
    assert durable.client.get_status("one").runtime_status is RuntimeStatus.RUNNING


# What operators do.


def test_a_cancellation_reaches_code_that_is_loaded(start):
    durable = start(compensates)
    durable.client.cancel_instance("one", "enough")
    durable.run()
    assert durable.client.get_status("one").runtime_status is RuntimeStatus.CANCELED
    assert "ActivityCompleted" in kinds(durable, "one")


def test_a_retry_replays_what_it_keeps_and_takes_checkpoints_again(start):
    durable = start(compensates)
    durable.client.cancel_instance("one", "enough")
    durable.run()
    durable.client.retry_instance("one", from_event=3)
    durable.run()
    second = models.Execution.objects.get(instance__instance_id="one", number=2)
    assert second.checkpoint is not None
    durable.client.cancel_instance("one", "enough")
    durable.run()
    assert durable.client.get_status("one").runtime_status is RuntimeStatus.CANCELED


def test_a_fork_of_an_instance_that_waits_goes_on(start):
    durable = start(AS_IT_WAS)
    durable.client.fork_instance("one", "two", from_event=len(kinds(durable, "one")) + 1)
    durable.run()
    for key in ("one", "two"):
        durable.client.raise_event(key, "go", key)
    durable.run()
    assert [durable.client.get_status(key).output for key in ("one", "two")] == [["first", "one"], ["first", "two"]]


@pytest.fixture
def exported(start, monkeypatch, tmp_path):
    """An instance that waits, and the file it was exported to."""
    durable = start(AS_IT_WAS)
    monkeypatch.setattr(shown_client, "registry", durable.registry)
    call_command("durable_export", "one", directory=tmp_path, verbosity=0)
    (path,) = tmp_path.iterdir()
    return durable, path


def test_an_export_has_the_checkpoint(exported):
    _, path = exported
    past = transcript.past_of(json.loads(path.read_text()))
    assert past.events == []
    assert past.checkpoint is not None
    assert past.checkpoint.state == execution().checkpoint


def test_the_deploy_gate_loads_checkpoints_as_a_worker_does(exported, monkeypatch, capsys):
    _, path = exported
    for files in ((), (str(path),)):
        call_command("durable_check_replay", *files, processes=1)
    monkeypatch.setattr(shown_client, "registry", registered(CHANGED))
    for files in ((), (str(path),)):
        with pytest.raises(CommandError, match="does not fit 1 of 1"):
            call_command("durable_check_replay", *files, processes=1)
    assert "stands in code" in capsys.readouterr().out


@pytest.mark.parametrize(
    "checkpoint", [{}, {"seq": 1}, {"seq": 99, "state": ""}, {"seq": 0, "state": ""}, "text"], ids=str
)
def test_an_export_with_what_is_no_checkpoint_is_refused(exported, checkpoint):
    _, path = exported
    with pytest.raises(ValueError, match="The checkpoint is none"):
        transcript.past_of({**json.loads(path.read_text()), "checkpoint": checkpoint})


def test_time_goes_on(start):
    async def sleeps(ctx):
        begun = ctx.now
        await asyncio.sleep(3600)
        return (ctx.now - begun).total_seconds()

    durable = start(sleeps)
    durable.advance(timedelta(hours=1))
    assert durable.client.get_status("one").output >= 3600
