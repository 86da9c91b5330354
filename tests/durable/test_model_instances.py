"""A saved model instance is a reference in a checkpoint: it comes back as what its row is by then."""

from __future__ import annotations

import asyncio
import json

import pytest
from django.contrib.auth.models import Group

from django_durable.codec.references import MODEL_INSTANCES
from django_durable.durable import DurableBackend, InMemoryStateStore, PauseForEventException, make_durable, pause
from django_durable.engine.checkpoint import dump, load
from django_durable.engine.errors import CheckpointDamaged
from django_durable.registry import Registry
from django_durable.testing import Durable


@make_durable
async def renames(name: str):
    group = await Group.objects.acreate(name=name)
    same = [group]
    await pause("renamed")
    return group.name, group is same[0], group.pk


@pytest.fixture
def backend(durable_db):
    return DurableBackend(InMemoryStateStore())


def run(backend):
    return asyncio.run(_run(backend))


async def _run(backend):
    try:
        return await renames("before", orchestration_backend=backend, instance_id="one")
    except PauseForEventException as paused:
        return paused.event


def test_a_program_that_goes_on_sees_the_row_as_it_is_now(backend):
    assert run(backend) == "renamed"
    state = json.dumps(asyncio.run(backend.load_state("one")))
    assert ("auth.Group" in state, "_state" in state) == (True, False)
    group = Group.objects.get()
    Group.objects.update(name="after")
    backend.publish_event("one", "renamed")
    assert run(backend) == ("after", True, group.pk)


def test_a_row_that_is_gone_is_named(backend):
    run(backend)
    Group.objects.all().delete()
    backend.publish_event("one", "renamed")
    with pytest.raises(CheckpointDamaged, match=r"refers to auth.Group \d+ of database 'default', which is gone"):
        run(backend)


def restored(value):
    state = json.loads(json.dumps(dump(value, hooks=[MODEL_INSTANCES])))
    return load(state, find=lambda name, hash: pytest.fail(name), hooks=[MODEL_INSTANCES])


def test_a_reference_asks_the_database_for_fields_only(durable_db, django_assert_num_queries):
    group = Group.objects.create(name="one")
    with django_assert_num_queries(0):
        found = restored([group, {group: "as a key"}])
        assert found[0] == group
        assert found[1][found[0]] == "as a key"
    with django_assert_num_queries(1):
        assert found[0].name == "one"


def test_one_that_was_not_saved_is_kept_with_its_fields(durable_db):
    assert restored(Group(name="new")).name == "new"


def test_a_model_that_is_gone_makes_the_checkpoint_unreadable(durable_db):
    state = json.dumps(dump(Group.objects.create(name="one"), hooks=[MODEL_INSTANCES])).replace("auth.Group", "auth.No")
    with pytest.raises(CheckpointDamaged, match="No"):
        load(json.loads(state), find=lambda name, hash: pytest.fail(name), hooks=[MODEL_INSTANCES])


registry = Registry()


@registry.orchestration("names", mode="checkpoint")
async def names(ctx, pk: int):
    group = Group.from_db("default", ["id"], [pk])
    await ctx.wait_for_event("go")
    return await ctx.run(name_of, group)


@pytest.fixture
def durable(durable_db):
    harness = Durable(registry, hot_executions=0)
    yield harness
    harness.close()


def test_an_orchestration_hands_a_reference_to_its_steps(durable):
    group = Group.objects.create(name="before")
    durable.client.start_orchestration("it", names, group.pk)
    durable.run()
    Group.objects.update(name="after")
    durable.client.raise_event("it", "go")
    durable.run()
    assert durable.client.get_output("it") == "after"


def name_of(group) -> str:
    return group.name
