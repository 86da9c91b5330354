"""The worked deploy of `docs/how-to/versioning.md`: its code, in its order, and what the gate says of each step."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

import django_durable
from django_durable import Registry
from django_durable.client.viewing import client
from django_durable.testing import Durable

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "versioning.md"
BLOCKS = re.findall(r"^```(python|console)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
CODE = [text for language, text in BLOCKS if language == "python"]
FIRST, NAIVE, PATCHED, OLD_WAY_GONE, CALL_GONE, VERSION = range(6)


def shown_after(code: int) -> str:
    """Return what the page shows as the output of the gate after a block of code."""
    places = [place for place, (language, _) in enumerate(BLOCKS) if language == "python"]
    command, _, output = BLOCKS[places[code] + 1][1].partition("\n")
    assert command == "$ python manage.py durable_check_replay"
    return output


class Shop:
    """The project of the page: one database, and the code that was deployed last."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, run) -> None:
        self._monkeypatch = monkeypatch
        self._run = run
        self._worker: Durable | None = None

    def release(self, *blocks: int) -> None:
        """Let the commands run code of the page, in a module of its own."""
        registry = Registry()
        with self._monkeypatch.context() as patch:
            patch.setattr(django_durable, "orchestration", registry.orchestration)
            patch.setattr(django_durable, "activity", registry.activity)
            scope = {"__name__": "orders.workflows"}
            for block in blocks:
                exec(CODE[block], scope)  # noqa: S102 - the code of the page
        self._monkeypatch.setattr(client, "registry", registry)

    def gate(self):
        return self._run("check_replay", "--processes", "1")

    def deploy(self) -> None:
        """Start a worker with the code that was released, in place of the one that runs."""
        self.close()
        self._worker = Durable(client.registry)
        self._worker.run()

    def order(self, number: int) -> None:
        self._run("start", "checkout", "--id", f"order-{number}", "--input", number)
        self._worker.run()

    def ship(self, number: int) -> object:
        """Say that an order has gone, and return what its instance returned."""
        self._run("event", f"order-{number}", "shipped")
        self._worker.run()
        return client.get_output(f"order-{number}")

    def steps(self, number: int) -> list[str | None]:
        history = client.read_execution_history(f"order-{number}")
        return [event.fact.columns().name for event in history if event.fact.kind == "ActivityScheduled"]

    def close(self) -> None:
        if self._worker is not None:
            self._worker.close()


@pytest.fixture
def shop(db, monkeypatch, run):
    made = Shop(monkeypatch, run)
    made.release(FIRST)
    made.deploy()
    made.order(1)
    yield made
    made.close()


def test_the_gate_stops_the_change_as_the_page_shows(shop):
    shop.release(NAIVE)
    result = shop.gate()
    assert result.out + result.err + "\n" == shown_after(NAIVE)
    assert result.code == 1


def test_deployed_all_the_same_it_blocks_the_order_and_code_that_fits_lets_it_go_on(shop, run):
    shop.release(NAIVE)
    shop.deploy()
    run("event", "order-1", "shipped")
    shop.deploy()
    assert client.get_status("order-1").runtime_status == "Blocked"
    shop.release(NAIVE, PATCHED)
    shop.deploy()
    assert run("check_replay", "--status", "Blocked", "--processes", "1").code == 0
    assert run("resume", "--status", "Blocked", "--orchestration", "checkout", "--yes").code == 0
    shop.deploy()
    assert client.get_output("order-1") == "receipt-1"


def test_a_patch_is_put_in_and_taken_out_when_the_gate_lets_it(shop):
    shop.release(NAIVE, PATCHED)
    assert shop.gate().out == shown_after(PATCHED)
    shop.deploy()
    shop.order(2)

    shop.release(NAIVE, OLD_WAY_GONE)
    assert [line for line in shop.gate().lines if line.startswith("order-")] == ["order-1  checkout 1.0.0 Running"]
    shop.release(NAIVE, PATCHED)
    assert shop.ship(1) == "receipt-1"
    shop.release(NAIVE, OLD_WAY_GONE)
    assert shop.gate().code == 0
    shop.deploy()
    shop.order(3)

    shop.release(NAIVE, CALL_GONE)
    assert len([line for line in shop.gate().lines if line.startswith("order-")]) == 2
    shop.release(NAIVE, OLD_WAY_GONE)
    assert (shop.ship(2), shop.ship(3)) == ("receipt-2", "receipt-3")
    shop.release(NAIVE, CALL_GONE)
    assert shop.gate().out == "There is nothing to replay.\n"

    assert [shop.steps(number) for number in (1, 2, 3)] == [["charge"], ["reserve", "charge"], ["reserve", "charge"]]


def test_a_version_leaves_open_instances_at_theirs(shop, run):
    shop.release(NAIVE, PATCHED, VERSION)
    assert shop.gate().code == 0
    shop.deploy()
    shop.order(2)
    left = ("list", "--ids", "--orchestration", "checkout", "--version", "1.0.0", "--status", "Pending,Running")
    assert run(*left).lines == ["order-1"]
    assert shop.ship(2) == {"receipt": "receipt-2", "shelf": "shelf-2"}
    assert shop.ship(1) == "receipt-1"
    assert run(*left).lines == []


def test_every_block_of_the_page_is_part_of_the_story():
    assert len(CODE) == 6
    assert all(textwrap.dedent(text).startswith("# orders/workflows.py\n") for text in CODE)
