"""The REDACT hook: asked before any face shows a payload, and by nobody else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User

from django_durable.api.views.base import DurableView
from django_durable.client import Client
from django_durable.client.viewing import client as viewing_client
from django_durable.redaction import Place, hide_secrets

from . import secrets
from .faces import ADMIN, FACES, _browser, commands
from .secrets import SECRET, fill

HOOKS = ["hide", "hide_everything", "fail", "return_no_json"]


@pytest.fixture(autouse=True)
def filled(durable_db, settings, monkeypatch) -> None:
    settings.ROOT_URLCONF = "tests.faces.redaction.urls"
    monkeypatch.setattr(viewing_client, "registry", secrets.registry)
    assert DurableView.client is viewing_client
    User.objects.create_superuser("root")
    fill()


def use(settings, hook: str) -> None:
    settings.DJANGO_DURABLE = {"REDACT": f"tests.faces.redaction.secrets.{hook}"}


def with_secret(face: str) -> list[str]:
    """Return where a face shows the secret."""
    return [place for place, said in FACES[face]() if SECRET in said]


@pytest.mark.parametrize("face", FACES)
def test_without_a_hook_whoever_may_see_payloads_sees_them(face) -> None:
    assert with_secret(face)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("hook", HOOKS)
def test_what_the_hook_hides_no_face_shows(settings, caplog, face, hook) -> None:
    use(settings, hook)

    assert with_secret(face) == []
    assert SECRET not in caplog.text


def test_what_the_hook_lets_through_is_shown(settings) -> None:
    use(settings, "hide")

    shown = dict(commands())
    assert "opening with [gone]" in shown["inspect open --history --tree --json"]
    assert "broken by [gone]" in shown["inspect broken --history --tree"]


def test_the_code_and_the_client_of_the_project_have_what_is_stored(settings) -> None:
    use(settings, "hide_everything")
    client = Client(secrets.registry)

    assert client.get_output("returned") == {"returned": SECRET}
    assert client.get_kv_value("open", "word") == {"is": SECRET}
    assert SECRET in str(client.read_execution_history("open"))


def test_an_export_says_whether_it_is_as_stored(settings, capsys) -> None:
    from django.core.management import call_command

    use(settings, "hide")
    call_command("durable_export", "returned")
    redacted = capsys.readouterr()
    call_command("durable_export", "returned", "--unredacted")
    stored = capsys.readouterr()

    assert SECRET not in redacted.out
    assert "REDACT" in redacted.err
    assert SECRET in stored.out
    assert "REDACT" not in stored.err


def test_what_is_too_long_for_the_hook_is_not_shown_at_all(settings) -> None:
    from django_durable.testing import Durable

    shop = Durable(secrets.registry)
    shop.client.start_orchestration("long", "safe.returns", {"word": SECRET * 10_000})
    shop.run()
    shop.close()
    use(settings, "hide")
    from django_durable.models import Instance

    body = _browser().get(f"{ADMIN}{Instance.objects.get(instance_id='long').pk}/change/").content.decode()
    assert SECRET not in body
    assert "too long for the REDACT hook" in body
    assert re.search(r"Only the beginning of .* characters", body)


@pytest.fixture
def places(settings, monkeypatch) -> Iterator[Callable[[], set[tuple[str, str | None, str]]]]:
    asked: list[Place] = []
    monkeypatch.setattr(secrets, "hide", lambda place, value: asked.append(place) or value)
    use(settings, "hide")
    return lambda: {(place.kind, place.name, place.field) for place in asked if place.instance_id == "open"}


def test_the_hook_is_told_where_a_value_stands(places) -> None:
    assert all(said for _, said in FACES["admin"]())

    assert places() >= {
        ("Instance", "safe.is_open", "custom_status"),
        ("OrchestrationStarted", "safe.is_open", "input"),
        ("ActivityScheduled", "safe.opens", "input"),
        ("ActivityCompleted", None, "result"),
        ("ActivityFailed", None, "message"),
        ("ActivityFailed", None, "traceback"),
        ("SubOrchestrationScheduled", "safe.breaks", "input"),
        ("ExternalEvent", "turned", "payload"),
        ("QueueEventDelivered", "turns", "payload"),
        ("QueuedEvent", "turns", "payload"),
        ("KeyValue", "word", "value"),
        ("ActivityTask", "safe.is_stuck", "message"),
    }


PLACE = Place(instance_id="order-7", kind="Instance", name=None, field="input")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"user": "ada", "password": "x"}, {"user": "ada", "password": "[hidden]"}),
        ([{"api_key": {"of": "x"}}, 7, None], [{"api_key": "[hidden]"}, 7, None]),
        ("no account 12 with token=abc, sorry", "no account 12 with token=[hidden], sorry"),
        ("{'access_token': 'abc def'} does not fit", "{'access_token': [hidden]} does not fit"),
        ('the input is {"secret":"a b","id":7}', 'the input is {"secret":[hidden],"id":7}'),
        (json.dumps({"text": json.dumps({"secret": "a b", "id": 7})}), None),
        ("Passwords are kept elsewhere.", "Passwords are kept elsewhere."),
    ],
)
def test_secrets_are_hidden_by_their_names(value, expected) -> None:
    found = hide_secrets(PLACE, value)

    if expected is not None:
        assert found == expected
    else:
        assert "a b" not in found
        assert "id" in found
