"""Whether code fits a history, and what is said where it does not."""

from __future__ import annotations

import pickle

import pytest

from django_durable.engine.errors import PayloadError
from django_durable.engine.verification import DAMAGED, NONDETERMINISM, NOT_REGISTERED, described, mismatch_of

from .support import FakeEnvironment, Host


def recorded():
    """A history of code that charges, and then waits."""

    def flow(ctx):
        yield ctx.schedule_activity("charge", 1)
        yield ctx.wait_for_event("shipped")

    return Host(flow).history


def environment(flow):
    return FakeEnvironment(flow=flow)


def test_the_code_that_made_a_history_fits_it():
    def flow(ctx):
        yield ctx.schedule_activity("charge", 1)
        yield ctx.wait_for_event("shipped")

    assert mismatch_of(environment(flow), recorded()) is None


def test_a_history_that_has_not_begun_fits_everything():
    assert mismatch_of(FakeEnvironment(), []) is None


def test_a_difference_has_its_event_and_both_sides():
    def flow(ctx):
        yield ctx.schedule_activity("charge", 2)

    found = mismatch_of(environment(flow), recorded())
    assert found is not None
    assert (found.code, found.seq) == (NONDETERMINISM, 2)
    assert [(each.field, each.recorded, each.requested) for each in found.differences] == [("input", "1", "2")]
    assert "charge" in (found.recorded or "")
    assert "charge" in (found.requested or "")


def test_code_that_asks_for_more_or_for_less_has_nothing_on_one_side():
    def more(ctx):
        ctx.schedule_activity("notify", 1)
        yield ctx.schedule_activity("charge", 1)

    def less(ctx):
        yield ctx.wait_for_event("shipped")

    for flow in (more, less):
        found = mismatch_of(environment(flow), recorded())
        assert found is not None
        assert found.code == NONDETERMINISM


@pytest.mark.parametrize("missing", ["orchestration", "activity"])
def test_code_that_is_not_there_is_told(missing):
    def flow(ctx):
        yield ctx.schedule_activity("unknown", 1)

    here = FakeEnvironment() if missing == "orchestration" else environment(flow)
    found = mismatch_of(here, recorded())
    assert found is not None
    assert (found.code, found.seq) == (NOT_REGISTERED, None)
    assert f"No {missing}" in found.detail


def test_a_damaged_history_is_told():
    def flow(ctx):
        yield ctx.schedule_activity("charge", 1)

    history = recorded()
    found = mismatch_of(environment(flow), [history[0], history[0]])
    assert found is not None
    assert found.code == DAMAGED
    assert "The history is damaged" in found.detail


def test_any_other_refusal_is_named_by_its_type():
    assert described(PayloadError("no")).code.endswith("PayloadError")


def test_a_mismatch_can_be_sent_to_another_process():
    def flow(ctx):
        yield ctx.schedule_activity("charge", 2)

    found = mismatch_of(environment(flow), recorded())
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301
