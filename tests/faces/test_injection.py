"""Texts that are markup, SQL, paths, terminal codes or the other direction of writing: to every face they are text."""

from __future__ import annotations

import io
import json
import unicodedata
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client as Browser

from django_durable import Registry
from django_durable.client.viewing import client
from django_durable.live import Wish
from django_durable.testing import Durable
from tests.live.support import Ear, Somebody, scenario

NASTY = {
    "markup": "<img src=x onerror=alert(1)>\"'</script><!--",
    "template": "{{ request.user.password }}{% debug %}%(x)s{0.__class__}",
    "sql": "x'); DROP TABLE django_durable_instance; -- \" OR 1=1",
    "like": "%_%\\",
    "path": "../../../../tmp/passwd",
    "dots": "..",
    "bidi": "safe\u202egnp.exe\u2066\u200f",
    "formula": "=cmd|' /C calc'!A0",
    "shell": "$(reboot) `reboot`; reboot & | > /dev/null",
}
CONTROLS = {"nul": "a\0b", "escape": "a\x1b[2Jb", "line": "a\r\nSet-Cookie: x=1"}

registry = Registry()


@registry.orchestration("shop.echoes")
def echoes(ctx, text: str):
    ctx.set_custom_status({"text": text})
    ctx.set_kv_value(text, text)
    said = yield ctx.wait_for_event(text)
    ctx.set_kv_value("said", said)
    yield ctx.dequeue_event(text)
    if (yield ctx.dequeue_event(text)) == text:
        raise ValueError(text)


@registry.orchestration("shop.asks")
def asks(ctx, text: str):
    _, writer = ctx.create_stream(str, text)
    yield writer.send(text)
    return (yield ctx.request({text: text}, str, name=text, assignee=text))


@pytest.fixture(autouse=True)
def shop(durable_db, settings, monkeypatch) -> Iterator[Durable]:
    settings.ROOT_URLCONF = "tests.faces.redaction.urls"
    monkeypatch.setattr(client, "registry", registry)
    harness = Durable(registry)
    yield harness
    harness.close()


@pytest.fixture
def browser(shop) -> Browser:
    made = Browser()
    made.force_login(User.objects.create_superuser("root"))
    return made


def run(*arguments: str) -> tuple[str, int]:
    out, err = io.StringIO(), io.StringIO()
    code = 0
    try:
        call_command(f"durable_{arguments[0]}", *arguments[1:], stdout=out, stderr=err)
    except CommandError as error:
        err.write(str(error))
        code = error.returncode
    return out.getvalue() + err.getvalue(), code


def post(browser: Browser, path: str, body: object) -> int:
    return browser.post(f"/durable/{path}", json.dumps(body), content_type="application/json").status_code


def at(text: str) -> str:
    return f"instances/{quote(quote(text, safe=''), safe='')}/"


@pytest.fixture(params=NASTY.values(), ids=NASTY.keys())
def nasty(request, shop, browser) -> str:
    """An instance whose id, names and payloads are the text, started and told over REST."""
    text = request.param
    started = post(
        browser, "instances/", {"instance_id": text, "orchestration": "shop.echoes", "input": {"text": text}}
    )
    assert started == 202
    shop.run()
    assert post(browser, f"{at(text)}events/", {"name": text, "data": {text: [text, "\0"]}}) in (200, 202)
    name = quote(quote(text, safe=""), safe="")
    for _ in range(3):
        assert post(browser, f"{at(text)}queues/{name}/messages/", {"data": text}) in (200, 202)
    shop.run()
    return text


def test_rest_gives_back_what_it_was_given_as_json(nasty, browser) -> None:
    for part in ("", "status/", "history/", "kv/", "tree/"):
        answer = browser.get(f"/durable/{at(nasty)}{part}")
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    found = browser.get(f"/durable/{at(nasty)}").json()
    assert (found["instance_id"], found["input"], found["custom_status"]) == (nasty, nasty, {"text": nasty})
    assert found["error"]["message"] == nasty
    assert browser.get(f"/durable/{at(nasty)}kv/").json()["values"] == {nasty: nasty, "said": {nasty: [nasty, "\0"]}}
    assert [each["instance_id"] for each in browser.get("/durable/instances/").json()["results"]] == [nasty]
    assert browser.get("/durable/instances/", {"instance_id_prefix": nasty[:3]}).json()["results"]


def test_the_admin_shows_it_as_text(nasty, browser) -> None:
    from django_durable.models import Instance

    pk = Instance.objects.get().pk
    base = "/admin/django_durable/instance/"
    for path in (
        base,
        f"{base}?q={quote(nasty)}",
        f"{base}{pk}/change/",
        f"{base}{pk}/history/",
        f"{base}{pk}/do/delete/",
    ):
        check_page(browser, path)


def check_page(browser: Browser, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 200, path
    body = answer.content.decode()
    assert not any(raw in body for raw in ("<img src=x", "</script><!--", "onerror=alert(1)>"))
    assert "pbkdf2" not in body


@pytest.fixture(params=NASTY.values(), ids=NASTY.keys())
def asked(request, shop) -> str:
    """An instance that asks somebody whose name is the text for it, on a stream of that name, too."""
    client.start_orchestration(request.param, "shop.asks", {"text": request.param})
    shop.run()
    return request.param


def test_a_question_and_its_answer_are_text(asked, shop, browser) -> None:
    from django_durable.models import Promise

    [question] = browser.get("/durable/requests/", {"assignee": asked}).json()["results"]
    assert (question["instance_id"], question["name"], question["question"]) == (asked, asked, {asked: asked})
    stream = quote(quote(asked, safe=""), safe="")
    items = browser.get(f"/durable/{at(asked)}streams/{stream}/items/").json()
    assert [each["value"] for each in items["items"]] == [asked]
    base = "/admin/django_durable/promise/"
    promise = Promise.objects.get()
    for path in (base, f"{base}?assignee={quote(asked)}", f"{base}?q={quote(asked)}", f"{base}{promise.pk}/change/"):
        check_page(browser, path)
    assert run("answer", "--data", json.dumps(asked), "--by", asked, "--", asked, promise.promise_id)[1] == 0
    shop.run()
    assert client.get_output(asked) == asked
    check_page(browser, f"{base}{promise.pk}/change/")
    said, _ = run("inspect", "--history", "--full", "--", asked)
    assert [each for each in said if unicodedata.category(each) in ("Cc", "Cf") and each != "\n"] == []


def test_a_terminal_is_told_nothing_that_it_would_obey(nasty) -> None:
    for arguments in (("list",), ("inspect", nasty, "--history", "--tree", "--full"), ("inspect", "--", nasty)):
        said, code = run(*arguments)
        assert code == 0
        assert [each for each in said if unicodedata.category(each) in ("Cc", "Cf") and each != "\n"] == []
    said, _ = run("inspect", nasty, "--json")
    assert json.loads(said)["instance_id"] == nasty


def test_an_export_writes_into_its_directory_and_nowhere_else(nasty, tmp_path) -> None:
    folder = tmp_path / "a" / "b"
    _, code = run("export", "--all", "--directory", str(folder))

    assert code == 0
    files = [each for each in tmp_path.rglob("*") if each.is_file()]
    assert [each.parent for each in files] == [folder]
    assert nasty in files[0].read_text() or json.dumps(nasty)[1:-1] in files[0].read_text()


def test_a_listener_is_told_it_as_json_in_one_line(nasty) -> None:
    user = User.objects.get()

    @scenario
    async def told() -> Ear:
        ear = Ear(Somebody(user))
        ear.listener.subscribe(Wish(instance_id=nasty, history=True, kv=True))
        await ear.until_type("done")
        return ear

    ear = told()
    assert ear.of_type("done")[0]["instance_id"] == nasty
    assert ear.of_type("kv")[0]["values"][nasty] == nasty
    assert all("\n" not in json.dumps(each, ensure_ascii=False) for each in ear.told)
    ear.close()


@pytest.mark.parametrize("text", CONTROLS.values(), ids=CONTROLS.keys())
def test_control_characters_are_refused_in_ids_by_every_face(shop, browser, text) -> None:
    body = {"instance_id": text, "orchestration": "shop.echoes", "input": {"text": ""}}
    assert post(browser, "instances/", body) == 400
    assert run("start", "shop.echoes", "--id", text, "--input", '{"text": ""}')[1] == 1
    started = browser.post(
        "/admin/django_durable/instance/start/?orchestration=shop.echoes", {"instance_id": text, "text": "x"}
    )
    assert started.status_code == 200  # The form again.
    assert shop.client.list_all_instances() == []
