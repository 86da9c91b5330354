"""Forking executions: another instance that goes on from an earlier point of one, whatever became of that."""

from __future__ import annotations

from datetime import timedelta

import pytest

from django_durable.engine.errors import InstanceAlreadyExists, InstanceNotFound, InvalidArgument
from django_durable.engine.states import RuntimeStatus
from django_durable.models import Instance


def two(ctx):
    first = yield ctx.schedule_activity("act", "a")
    second = yield ctx.schedule_activity("act", "b")
    return [first, second, ctx.instance_id]


def waits(ctx):
    yield ctx.schedule_activity("act", "a")
    timer = ctx.schedule_timer(timedelta(days=1))
    event = yield ctx.wait_for_event("go")
    yield timer
    return [event, ctx.instance_id, ctx.execution_id]


def parent(ctx):
    return (yield ctx.schedule_sub_orchestration("child"))


def child(ctx):
    return (yield ctx.wait_for_event("go"))


def rows(key):
    return list(Instance.objects.filter(instance_id=key).values())


def test_a_failed_instance_is_forked_from_its_last_good_point_and_stays_as_it_is(retrying):
    retrying.broken = {"b"}
    retrying.fail(two)
    before = rows("one"), retrying.client.read_execution_history("one")
    retrying.client.fork_instance("one", "other")
    retrying.durable.run()
    assert retrying.output("other") == ["a done", "b done", "other"]
    assert retrying.ran == {"a": 1, "b": 3}
    assert (rows("one"), retrying.client.read_execution_history("one")) == before
    rewound = retrying.client.read_execution_history("other")[4].fact
    assert (rewound.copied_from, rewound.copied_execution) == ("one", 1)


def test_a_running_instance_is_forked_as_it_is_and_both_go_on(retrying):
    retrying.start(retrying.define(waits))
    end = len(retrying.kinds()) + 1
    retrying.client.fork_instance("one", "other", from_event=end)
    retrying.durable.run()
    for key in ("one", "other"):
        retrying.client.raise_event(key, "go", key)
    retrying.durable.advance(days=1)
    assert retrying.output() == ["one", "one", 1]
    assert retrying.output("other") == ["other", "other", 1]
    assert retrying.ran == {"a": 1}


def test_a_completed_instance_is_forked_from_an_event_and_told_again_what_it_was_told(retrying):
    retrying.start(retrying.define(waits))
    retrying.client.raise_event("one", "go", 7)
    retrying.durable.advance(days=1)
    assert retrying.output() == [7, "one", 1]
    with pytest.raises(InvalidArgument, match="Instance 'one': The execution has not failed"):
        retrying.client.fork_instance("one", "other")
    retrying.client.fork_instance("one", "other", from_event=3)
    retrying.durable.run()
    retrying.durable.advance(days=1)
    assert retrying.output("other") == [7, "other", 1]
    assert retrying.ran == {"a": 1}


def test_a_fork_from_the_first_event_is_a_new_start(retrying):
    retrying.start(retrying.define(two))
    retrying.client.fork_instance("one", "other", from_event=1)
    retrying.durable.run()
    assert retrying.output("other") == ["a done", "b done", "other"]
    assert retrying.ran == {"a": 2, "b": 2}


def test_an_earlier_execution_is_forked_with_what_it_was_left(retrying):
    def rounds(ctx, left):
        yield ctx.schedule_activity("act", str(left))
        ctx.set_kv_value(str(left), ctx.instance_id)
        if left:
            yield ctx.continue_as_new(left - 1)
        return [ctx.get_kv_all_values(), ctx.execution_id]

    retrying.start(retrying.define(rounds), left=2)
    retrying.client.fork_instance("one", "other", execution=2, from_event=3)
    assert retrying.client.get_kv_all_values("other") == {"2": "one"}
    retrying.durable.run()
    assert retrying.output("other") == [{"2": "one", "1": "other", "0": "other"}, 2]
    assert retrying.ran == {"2": 1, "1": 1, "0": 2}


def test_guids_of_a_fork_are_its_own(retrying):
    def draws(ctx):
        yield ctx.schedule_activity("act", "a")
        return [(yield ctx.new_guid()), ctx.random.random()]

    retrying.start(retrying.define(draws))
    retrying.client.fork_instance("one", "other", from_event=3)
    retrying.durable.run()
    assert not set(retrying.output("other")) & set(retrying.output())


def test_an_open_child_is_started_anew_for_the_fork_and_canceled_with_it(retrying):
    retrying.define(child, "child")
    retrying.start(retrying.define(parent))
    retrying.client.fork_instance("one", "other", from_event=3)
    retrying.client.fork_instance("one", "third", from_event=3)
    retrying.durable.run()
    retrying.client.cancel_instance("third")
    retrying.durable.run()
    assert retrying.status("third::sub::fork_2") == RuntimeStatus.CANCELED
    retrying.client.raise_event("other::sub::fork_2", "go", "on")
    retrying.durable.run()
    assert retrying.output("other") == "on"
    assert retrying.status("one::sub::2") == RuntimeStatus.RUNNING
    retrying.client.terminate_instance("one")


def test_a_race_that_the_fork_decides_cancels_the_child_of_the_fork(retrying):
    def races(ctx):
        won = yield ctx.race(ctx.schedule_sub_orchestration("child"), ctx.wait_for_event("stop"))
        return won["index"]

    retrying.define(child, "child")
    retrying.start(retrying.define(races))
    retrying.client.fork_instance("one", "other", from_event=4)
    retrying.durable.run()
    retrying.client.raise_event("other", "stop")
    retrying.durable.run()
    assert retrying.output("other") == 1
    assert retrying.status("other::sub::fork_2") == RuntimeStatus.CANCELED
    assert retrying.status("one::sub::2") == RuntimeStatus.RUNNING


def test_a_fork_that_failed_is_retried_with_its_child(retrying):
    def fails(ctx):
        yield ctx.wait_for_event("go")
        return (yield ctx.schedule_activity("act", "x"))

    retrying.define(fails, "child")
    retrying.start(retrying.define(parent))
    retrying.client.fork_instance("one", "other", from_event=3)
    retrying.durable.run()
    retrying.broken = {"x"}
    retrying.client.raise_event("other::sub::fork_2", "go")
    retrying.durable.run()
    assert retrying.status("other") == RuntimeStatus.FAILED
    retrying.broken.clear()
    retrying.retry("other")
    assert retrying.output("other") == "x done"
    assert retrying.client.list_executions("other::sub::fork_2") == [1, 2]


def test_a_child_is_forked_into_an_instance_without_a_parent(retrying):
    retrying.define(child, "child")
    retrying.start(retrying.define(parent))
    retrying.client.fork_instance("one::sub::2", "other", from_event=3)
    retrying.client.raise_event("other", "go", 1)
    retrying.durable.run()
    assert retrying.output("other") == 1
    assert retrying.client.get_instance_info("other").parent_instance_id is None
    assert retrying.status() == RuntimeStatus.RUNNING


def test_a_fork_that_cannot_be_says_why_and_writes_nothing(retrying):
    retrying.start(retrying.define(two))
    for error, arguments in [
        (InstanceNotFound, {"instance_id": "nobody"}),
        (InstanceAlreadyExists, {"new_instance_id": "one", "from_event": 3}),
        (InvalidArgument, {"from_event": 99}),
        (InvalidArgument, {"from_event": 2}),
        (InvalidArgument, {"execution": 9}),
        (InvalidArgument, {"new_instance_id": ""}),
    ]:
        with pytest.raises(error):
            retrying.client.fork_instance(**{"instance_id": "one", "new_instance_id": "other"} | arguments)
    assert Instance.objects.count() == 1
