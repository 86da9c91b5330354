"""`durable_answer`: requests are answered, promises settled, once."""

from __future__ import annotations

import pytest

from django_durable.client.viewing import client


@pytest.fixture
def asked(durable) -> str:
    client.start_orchestration("it", "commands.asks")
    durable.run()
    return client.list_requests()[0].promise_id


def test_a_request_is_answered(durable, run, asked):
    assert run("answer", "it", asked, "--data", "7", "--by", "ada").code == 0
    durable.run()
    assert client.get_output("it") == 7
    assert client.list_requests(open_only=False)[0].settled_by == "ada"


def test_a_promise_is_failed(durable, run, asked):
    assert run("answer", "it", asked, "--fail", "nobody knows").code == 0
    durable.run()
    assert client.get_status("it").error.message == "nobody knows"


def test_a_second_answer_and_one_that_does_not_fit_are_refused(run, asked):
    wrong = run("answer", "it", asked, "--data", '"many"')
    assert (wrong.code, "expected integer" in wrong.err) == (1, True)
    run("answer", "it", asked, "--data", "7")
    assert "was completed already" in run("answer", "it", asked, "--data", "8").err
