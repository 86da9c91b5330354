from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from django_durable.engine.commands import ClearKeyValue, ClearKeyValues, Command, SetKeyValue
from django_durable.engine.errors import InvalidArgument, LimitExceeded, PayloadError
from django_durable.engine.events import StoredValue
from django_durable.engine.keyvalues import KeyValues
from django_durable.engine.program import Limits

from .support import Host, JsonCodec


class Fixture:
    def __init__(self, entries: dict[str, StoredValue] | None = None, **limits: int) -> None:
        self.issued: list[Command] = []
        self.values = KeyValues(entries or {}, JsonCodec(), Limits(**limits), self.issued.append)

    def state(self) -> tuple[Any, ...]:
        return self.values.snapshot(), len(self.issued)


def test_a_write_is_read_back_and_issued() -> None:
    fixture = Fixture()

    fixture.values.set("k", {"a": [1]}, 5)

    [command] = fixture.issued
    assert fixture.values.get("k") == {"a": [1]}
    assert isinstance(command, SetKeyValue)
    assert (command.key, command.value) == ("k", '{"a": [1]}')


def test_a_missing_key_reads_as_none_and_decodes_as_the_type_asked_for() -> None:
    fixture = Fixture({"n": StoredValue("7", 0)})

    assert fixture.values.get("missing", int) is None
    assert fixture.values.get("n", str) == "7"


def test_keys_are_sorted_whatever_the_order_of_writes() -> None:
    fixture = Fixture()
    for key in ("b", "c", "a"):
        fixture.values.set(key, key, 0)

    assert fixture.values.keys() == ["a", "b", "c"]
    assert list(fixture.values.all()) == ["a", "b", "c"]
    assert len(fixture.values) == 3


def test_clearing_one_key_leaves_the_others() -> None:
    fixture = Fixture({"a": StoredValue("1", 0), "b": StoredValue("2", 0)})

    fixture.values.clear("a")
    fixture.values.clear("never there")

    assert fixture.values.all() == {"b": 2}
    assert [type(each) for each in fixture.issued] == [ClearKeyValue, ClearKeyValue]


def test_clearing_all_names_what_was_there() -> None:
    fixture = Fixture({"b": StoredValue("1", 0), "a": StoredValue("2", 0)})

    fixture.values.clear_all()

    [command] = fixture.issued
    assert isinstance(command, ClearKeyValues)
    assert command.keys == ("a", "b")
    assert fixture.values.all() == {}


def test_a_prune_takes_what_was_written_before_the_cutoff_and_counts_it() -> None:
    fixture = Fixture({"old": StoredValue("1", 99), "edge": StoredValue("2", 100)})
    fixture.values.set("new", 3, 200)

    assert fixture.values.prune(100) == 1
    assert fixture.values.keys() == ["edge", "new"]


def test_writing_again_renews_the_time_stamp() -> None:
    fixture = Fixture({"k": StoredValue("1", 1)})
    fixture.values.set("k", 1, 500)

    assert fixture.values.prune(100) == 0


@pytest.mark.parametrize("cutoff", [None, "1", 1.5, True])
def test_a_cutoff_is_an_int_of_milliseconds(cutoff: Any) -> None:
    with pytest.raises(InvalidArgument, match="cutoff_ms is"):
        Fixture().values.prune(cutoff)


@pytest.mark.parametrize("key", ["", "k" * 256, None, 7, "nul\x00"])
def test_a_key_is_a_text_that_can_be_stored(key: Any) -> None:
    for use in (lambda v: v.get(key), lambda v: v.set(key, 1, 0), lambda v: v.clear(key)):
        fixture = Fixture()
        with pytest.raises(InvalidArgument, match="The KV key is"):
            use(fixture.values)
        assert fixture.state() == ({}, 0)


def test_a_value_is_bounded_by_its_bytes_and_nothing_of_a_larger_one_is_written() -> None:
    fixture = Fixture({"k": StoredValue("1", 0)}, kv_value_bytes=10)
    fixture.values.set("k", "x" * 8, 0)
    before = fixture.state()

    with pytest.raises(LimitExceeded, match="The KV value for key 'k' in bytes is 11, the limit is 10"):
        fixture.values.set("k", "x" * 9, 0)
    assert fixture.state() == before


def test_keys_are_bounded_and_an_existing_one_can_still_be_written() -> None:
    fixture = Fixture(kv_keys=2)
    fixture.values.set("a", 1, 0)
    fixture.values.set("b", 1, 0)
    fixture.values.set("a", 2, 0)
    before = fixture.state()

    with pytest.raises(LimitExceeded, match="The number of KV keys is 3, the limit is 2"):
        fixture.values.set("c", 1, 0)
    assert fixture.state() == before

    fixture.values.clear("b")
    fixture.values.set("c", 1, 0)


def test_a_value_that_cannot_be_encoded_changes_nothing() -> None:
    fixture = Fixture({"k": StoredValue("1", 0)})

    with pytest.raises(PayloadError):
        fixture.values.set("k", object(), 0)
    assert fixture.state() == ({"k": StoredValue("1", 0)}, 0)


def test_a_refused_command_leaves_the_entries_as_they_were() -> None:
    def refuse(command: Command) -> None:
        raise RuntimeError("no")

    values = KeyValues({"k": StoredValue("1", 0)}, JsonCodec(), Limits(), refuse)
    for use in (lambda: values.set("k", 2, 0), lambda: values.clear("k"), values.clear_all, lambda: values.prune(99)):
        with pytest.raises(RuntimeError, match="no"):
            use()
    assert values.all() == {"k": 1}


keys = st.sampled_from("abc")
writes = st.lists(
    st.tuples(st.just("set"), keys, st.integers())
    | st.tuples(st.just("clear"), keys)
    | st.tuples(st.just("clear_all"))
    | st.tuples(st.just("prune"), st.integers(0, 20)),
    max_size=20,
)


@given(writes)
def test_the_entries_are_those_of_a_dict_treated_the_same(steps: list[tuple[Any, ...]]) -> None:
    fixture, model = Fixture(), {}
    for now, (verb, *arguments) in enumerate(steps):
        match verb, arguments:
            case "set", [key, value]:
                fixture.values.set(key, value, now)
                model[key] = (value, now)
            case "clear", [key]:
                fixture.values.clear(key)
                model.pop(key, None)
            case "clear_all", []:
                fixture.values.clear_all()
                model.clear()
            case "prune", [cutoff]:
                old = {key for key, (_, written) in model.items() if written < cutoff}
                assert fixture.values.prune(cutoff) == len(old)
                model = {key: each for key, each in model.items() if key not in old}
        assert fixture.values.all() == {key: value for key, (value, _) in sorted(model.items())}


def test_entries_are_stamped_by_the_historys_clock_so_that_a_prune_replays(style) -> None:
    def story(ctx):
        ctx.set_kv_value("first", 1)
        yield ctx.schedule_activity("a")
        ctx.set_kv_value("second", 2)
        cutoff = yield ctx.utc_now()
        pruned = ctx.prune_kv_values_updated_before(cutoff)
        yield ctx.schedule_activity("b")
        return [pruned, ctx.get_kv_all_keys()]

    host = Host(style(story))
    host.complete("a")
    host.complete("b")

    assert host.output == [1, ["second"]]


def test_the_next_execution_starts_with_the_entries_and_their_stamps(style) -> None:
    def story(ctx):
        if ctx.execution_id == 1:
            ctx.set_kv_value("old", 1)
            yield ctx.schedule_activity("a")
            ctx.set_kv_value("new", 2)
            written = yield ctx.utc_now()
            ctx.set_kv_value("at", written)
            yield ctx.continue_as_new()
        pruned = ctx.prune_kv_values_updated_before(ctx.get_kv_value("at"))
        return [pruned, ctx.get_kv_all_values()]

    host = Host(style(story))
    host.complete("a")
    at = host.execution.next_start().kv["at"].updated_ms

    assert host.next().output == [1, {"at": at, "new": 2}]
