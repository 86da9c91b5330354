"""Checkpoints: written with the turn, read with the events after them, gone with the execution."""

from __future__ import annotations

import pytest

from django_durable import models
from django_durable.engine import events
from django_durable.engine.program import Checkpoint, Past
from django_durable.store import endings
from django_durable.store.checkpoints import load_pasts
from django_durable.store.records import TurnOutcome

from .lives import COMPLETED, FAILED, NOW, USING, nudge
from .turn_rows import claim_all, committed, fresh, made, put, running, task

pytestmark = pytest.mark.django_db

CANCELED = events.OrchestrationCanceled(output="null")


def at(seq: int, state: str = "{}") -> Checkpoint:
    return Checkpoint(seq, state)


def checkpoint(instance_id: str, number: int = 1):
    rows = models.Execution.objects.using(USING).filter(instance__instance_id=instance_id, number=number)
    return rows.values_list("checkpoint_seq", "checkpoint").get()


def going_on(instance_id: str, *facts, **others):
    """Commit another turn of a running instance."""
    nudge(instance_id)
    claimed = claim_all()[instance_id]
    committed(made(claimed, *facts, **others))
    return claimed


def test_a_checkpoint_is_written_with_its_turn_by_one_statement_for_all(django_assert_max_num_queries):
    for count in (1, 5):
        claimed = fresh(*(f"order-{count}-{number}" for number in range(count)))
        commits = [made(each, task(), checkpoint=at(2, f'{{"of":"{each.instance_id}"}}')) for each in claimed]
        with django_assert_max_num_queries(20) as captured:
            committed(*commits)
        written = [each["sql"] for each in captured.captured_queries if "checkpoint_seq = given.seq" in each["sql"]]
        assert len(written) == 1
    assert checkpoint("order-5-3") == (2, '{"of":"order-5-3"}')


def test_a_batch_without_checkpoints_has_no_statement_for_them(django_assert_max_num_queries):
    (claimed,) = fresh("order-7")
    with django_assert_max_num_queries(20) as captured:
        committed(made(claimed, task()))
    assert not [each for each in captured.captured_queries if "checkpoint" in each["sql"]]


def test_an_execution_comes_back_with_its_checkpoint_and_the_events_after_it(django_assert_num_queries):
    pk = running("order-7", task(), checkpoint=at(2, '{"a":1}'))
    going_on("order-7", events.ExternalEvent(name="go", payload="1"))
    replayed = running("order-8", task())
    with django_assert_num_queries(1):
        found = load_pasts([(pk, 1), (replayed, 1)], using=USING)
    assert found[pk].checkpoint == at(2, '{"a":1}')
    assert [each.seq for each in found[pk].events] == [3]
    assert found[replayed].checkpoint is None
    assert [each.seq for each in found[replayed].events] == [1, 2]


def test_where_nothing_came_after_it_the_checkpoint_is_all_there_is():
    pk = running("order-7", task(), checkpoint=at(2))
    assert load_pasts([(pk, 1)], using=USING) == {pk: Past([], at(2))}


def test_a_later_checkpoint_takes_the_place_of_the_earlier_one():
    pk = running("order-7", task(), checkpoint=at(2, '"first"'))
    going_on("order-7", events.ExternalEvent(name="go", payload="1"), checkpoint=at(3, '"second"'))
    assert load_pasts([(pk, 1)], using=USING)[pk].checkpoint == at(3, '"second"')


def test_nothing_of_a_checkpoint_is_written_when_the_turn_is_lost():
    (claimed,) = fresh("order-7")
    committed(made(claimed, task(), checkpoint=at(2, '"mine"'), keep_lease=True))
    assert put(made(claimed, task(), checkpoint=at(2, '"stale"'))) == [TurnOutcome.LOST]
    assert checkpoint("order-7") == (2, '"mine"')


@pytest.mark.parametrize("end", [COMPLETED, FAILED, CANCELED], ids=lambda fact: fact.kind)
def test_an_end_takes_the_checkpoint_away(end):
    running("order-7", task(), checkpoint=at(2))
    going_on("order-7", end)
    assert checkpoint("order-7") == (None, None)


def test_an_operator_who_ends_an_instance_takes_its_checkpoint_away():
    running("order-7", task(), checkpoint=at(2))
    endings.terminate_instance("order-7", None, now=NOW, using=USING)
    assert checkpoint("order-7") == (None, None)


def test_the_next_execution_begins_without_a_checkpoint():
    pk = running("order-7", task(), checkpoint=at(2))
    start = events.OrchestrationStarted(
        name="orders", version="1.0.0", input="2", instance_id="order-7", execution=2, seed="s"
    )
    going_on("order-7", events.OrchestrationContinuedAsNew(input="2"), next_start=start)
    assert checkpoint("order-7", 1) == (None, None)
    assert checkpoint("order-7", 2) == (None, None)
    assert load_pasts([(pk, 2)], using=USING) == {pk: Past([], None)}


def test_a_past_that_cannot_be_decoded_is_an_error():
    pk = running("order-7", task())
    models.HistoryEvent.objects.using(USING).filter(instance_id=pk, seq=2).update(kind="Nonsense")
    with pytest.raises(ValueError, match="Nonsense"):
        load_pasts([(pk, 1)], using=USING)


def test_no_place_needs_no_query(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert load_pasts([], using=USING) == {}
